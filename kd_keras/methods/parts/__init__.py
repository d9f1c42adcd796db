"""What several methods are made of: projectors, maps, vectors; none of these is a method."""
