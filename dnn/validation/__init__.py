"""What may come in, and what is refused in a sentence: settings, arrays, sample weights, and the door."""
