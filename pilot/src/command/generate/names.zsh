# Names that only SPIKE Nexus knows, lists of permissions, and files behind key=@. Everything else is completed by _spike_tree.
_spike() {
    local -a names
    if [[ $words[2] == secret && $words[3] == put && $PREFIX == *=@* ]]; then
        compset -P '*=@'
        _files
        return
    fi
    names=("${(@f)$(printf '%s\n' "${(@)words[2,CURRENT-1]}" "$PREFIX" | "$words[1]" complete 2>/dev/null)}")
    if [[ -n $names[1] ]]; then
        compadd -a names
        return
    fi
    _spike_tree "$@"
}

