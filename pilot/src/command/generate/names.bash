
# Names that only SPIKE Nexus knows, lists of permissions, and files behind key=@. Everything else is completed by _spike.
_spike_names() {
    local words word last head file c line=${COMP_LINE:0:COMP_POINT}
    read -ra words <<<"$line"
    [[ $line == *[[:space:]] ]] && words+=("")
    word=${words[${#words[@]} - 1]}
    # What readline keeps of the word: it begins a new one behind = and :, and at @.
    last=$word
    [[ $COMP_WORDBREAKS == *=* ]] && last=${last##*=}
    [[ $COMP_WORDBREAKS == *:* ]] && last=${last##*:}
    [[ $COMP_WORDBREAKS == *@* && $last == *@* ]] && last=@${last##*@}
    head=${word%"$last"}
    COMPREPLY=()
    if [[ ${words[1]} == secret && ${words[2]} == put && $word == *=@* ]]; then
        file=${word#*=@}
        # Quoted here: with "compopt -o filenames" readline would put a backslash before the @.
        while IFS= read -r c; do
            [[ -d $c ]] && c+=/
            [[ $c == *[!a-zA-Z0-9_./,=:@+-]* ]] && printf -v c %q "$c"
            c=${word%"$file"}$c
            COMPREPLY+=("${c#"$head"}")
        done < <(compgen -f -- "$file")
        [[ ${#COMPREPLY[@]} == 1 && ${COMPREPLY[0]} == */ ]] && compopt -o nospace 2>/dev/null
        return
    fi
    while IFS= read -r c; do
        c=${c#"$head"}
        [[ $c == *[!a-zA-Z0-9_./,=:@+-]* ]] && printf -v c %q "$c"
        COMPREPLY+=("$c")
    done < <(printf '%s\n' "${words[@]:1}" | "$1" complete 2>/dev/null)
    ((${#COMPREPLY[@]})) || _spike "$@"
}
complete -F _spike_names -o bashdefault -o default spike
