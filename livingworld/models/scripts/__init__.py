"""Named, versioned texts that are swapped while others run them."""
