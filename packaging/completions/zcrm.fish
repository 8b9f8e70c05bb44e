zcrm completions fish | source
