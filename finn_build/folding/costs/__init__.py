"""What a node costs at a folding: forms fitted to synthesised modules, kept with their points and their errors."""
