"""What a build found, as data (`report.json`) and as one page that opens from disk (`report.html`)."""
