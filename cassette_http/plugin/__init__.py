"""The parts of the pytest plugin; pytest calls `cassette_http.pytest_plugin`.

options      all options in one table: their meaning, and where they can be given
settings     the values from the command line and the ini file
naming       the path of a test's cassette
uses         a cassette in use by a test: opened, watched, left
layers       cassettes of fixtures of a wider scope, below those of tests
             lasting_hooks: keeps the patches in place from one test to the next
sharing      one cassette for several tests of a run
fixtures     the fixtures, thin over these; short_name: the one called `cassette`
collection   which tests were collected
ledger       facts of all uses, from all processes
report       the report of a failed test; transcript: its HTTP traffic
digest       a summary of the ledger in numbers; leftovers: cassettes that nothing used
summary      the report at the end, on the terminal; report_files: in files; paths: how paths are shown
restrictions works with pytest-socket, which would forbid the sockets that a replay needs
hooks        hooks that the plugin calls; parts that not every run needs implement them
vcr_names    supports suites of other plugins, by the names of those, with the room `cassette_http.vcr`
             vcr_uses: the use that a test asks for; vcr_instance: what pytest-vcr calls `vcr`

Everything that is used of pytest beyond its public API is in `pytest_internals`.

A part that not every run needs is a module of its own, named by the `part` of its options. It is imported and
registered as a plugin when such an option is first given, and does its work in hooks:

updating     records again, and keeps the old cassette unless the test passes
pruning      removes what no test needs any more
flights      the traffic of failing tests
guarding     the network guard: look-ups and connects to hosts that are not allowed
"""
