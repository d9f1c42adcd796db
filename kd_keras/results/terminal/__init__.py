"""What a terminal shows: lines, tables, progress bars."""
