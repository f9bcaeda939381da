"""From the generated sources to a bitfile: the only part of a build that needs AMD's tools."""
