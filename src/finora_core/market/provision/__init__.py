"""The data provider: sources served to other installations, which need no accounts there."""
