"""The command `eventsnn`, and those of its words that are no modules of the package's own."""
