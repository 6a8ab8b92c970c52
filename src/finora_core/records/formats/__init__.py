"""The statement formats that come with Finora, one file a format, registered as a stranger's are."""
