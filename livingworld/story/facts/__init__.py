"""Facts: versioned state inside a story, true from the scene on in which it was set, on the paths that contain it."""
