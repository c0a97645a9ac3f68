"""The page on which you draw a digit: the server, and the page's own files beside it."""
