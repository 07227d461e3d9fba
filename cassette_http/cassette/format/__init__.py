"""How interactions are written as documents of YAML, and read again (pure); `yaml_format` is where callers begin."""
