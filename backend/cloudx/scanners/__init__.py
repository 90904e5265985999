"""A room for each tool: argv builder, streaming parser, progress reader."""
