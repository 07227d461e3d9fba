"""Does `cassette_http` still serve the libraries that people use? `make test-downstream` installs each in its oldest
supported and its newest release, drives it, and runs its own tests while a cassette records.
"""
