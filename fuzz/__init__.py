"""Responses that nobody would write down: the client is fed mutations of the corpus, and must keep its promises."""
