"""Everything that is not the window: annotations, projects, images, networks, learning. No Qt below."""
