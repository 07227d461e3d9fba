"""The parts of the pytest plugin; `cassette_http.pytest_plugin` is where pytest calls in.

options      what can be said, where, and what it means: one table
settings     what was said on the command line and in the ini file
naming       where the cassette of a test lies
uses         a cassette in use by a test: opened, watched, left
layers       cassettes of fixtures of a wider scope, below those of tests
             lasting_hooks: what is patched, from one test to the next
sharing      one cassette for several tests of a run
fixtures     the fixtures, thin over these; short_name: the one called `cassette`
collection   which tests there are
ledger       what each use left behind, from all processes
report       what a failed test's report says; transcript: what went over the wire
digest       what the ledger comes down to; leftovers: cassettes that nothing used
summary      what is told at the end: on the terminal, and in pages; paths: as they are shown there
restrictions beside pytest-socket, which would take from a test what a replay needs
hooks        what the plugin calls; parts that not every run needs hang on these
vcr_names    suites of other plugins, by the names that those have, over the room `cassette_http.vcr`
             vcr_uses: the use that a test asks for; vcr_instance: what pytest-vcr calls `vcr`

All that is asked of pytest beyond its public API is in `pytest_internals`.

A part that not every run needs is a module of its own, named by the `part` of the options that it serves. It is
imported and registered as a plugin when such an option is first given, and does its work in hooks:

updating     records again, and keeps the old cassette unless the test passes
pruning      what no test needs any more, of what was run
flights      the traffic of tests that fail
guarding     look-ups and connects to hosts that are not allowed
"""
