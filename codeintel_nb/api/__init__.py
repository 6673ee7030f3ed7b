"""Operations of the engine, for notebooks, the command line, REST and MCP."""
