"""The suites of others are run by tests, not collected as ours."""

collect_ignore = ["suites"]
