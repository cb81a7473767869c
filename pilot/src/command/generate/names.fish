
# Names that only SPIKE Nexus knows, lists of permissions, and files behind key=@.
function __fish_spike_names
    set -l words (commandline -opc)
    set -l word (commandline -ct)
    printf '%s\n' $words[2..-1] "$word" | spike complete 2>/dev/null
end
function __fish_spike_files
    set -l words (commandline -opc)
    set -l word (commandline -ct)
    string match -q 'secret put' "$words[2..3]"; or return
    string match -q '*=@*' -- "$word"; or return
    set -l parts (string split -m 1 '=@' -- "$word")
    for path in (__fish_complete_path "$parts[2]")
        echo "$parts[1]=@$path"
    end
end
# Whether the next word is a name, and no file.
function __fish_spike_wants_name
    set -l words (commandline -opc)
    string match -qr '^(secret (get|put|delete|undelete|list)|secret metadata get|policy (get|delete))$' -- "$words[2..-1]"
end
complete -c spike -n __fish_spike_wants_name -f
complete -c spike -a '(__fish_spike_names)'
# fish asks for the value of an option by the option alone.
complete -c spike -n '__fish_seen_subcommand_from policy' -l permissions -r -f -a '(__fish_spike_names)'
complete -c spike -n '__fish_seen_subcommand_from policy' -l name -r -f -a '(__fish_spike_names)'
complete -c spike -n '__fish_seen_subcommand_from policy doctor' -l path -r -f -a '(__fish_spike_names)'
complete -c spike -a '(__fish_spike_files)'
