"""One module a tool: argv builder, streaming parser, progress reader."""
