eval "$(zcrm completions bash)"
