"""The API and the pages: bytes to typed input, one service call, typed output to bytes."""
