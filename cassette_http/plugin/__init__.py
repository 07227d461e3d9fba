"""The parts of the pytest plugin; `cassette_http.pytest_plugin` is where pytest calls in.

options    what can be said, where, and what it means: one table
naming     where the cassette of a test lies
uses       a cassette in use by a test: opened, watched, left
fixtures   the fixtures, thin over `uses`
ledger     what each use left behind, from all processes
report     what a failed test's report says
summary    what the terminal says at the end
hooks      what the plugin calls; parts that not every run needs hang on these

A part that not every run needs is a module of its own, named by the `part` of the options that it serves. It is
imported and registered as a plugin when such an option is first given, and does its work in hooks.
"""
