module go_patterns

go 1.26
