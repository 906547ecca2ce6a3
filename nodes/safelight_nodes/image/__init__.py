"""Images: files, size, colour, filters, layers, drawing, lists."""
