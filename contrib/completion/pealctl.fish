# fish completion for pealctl.  Verbs come from pealctl itself; applications and
# channels from the peald that runs, if it may be asked.

function __pealctl_verbs
	pealctl --help 2>/dev/null | string replace -rf '^  ([a-z]+) .*' '$1'
end
function __pealctl_rows
	pealctl --json $argv[2..] 2>/dev/null | string split '{' |
		string replace -rf '.*"'$argv[1]'":"([^"\\\\]*)".*' '$1'
end
set -l channels users channels publish tail

complete -c pealctl -f
complete -c pealctl -n __fish_use_subcommand -a '(__pealctl_verbs)'
complete -c pealctl -s c -l config -r -F -d 'Settings of the peald meant'
complete -c pealctl -s s -l socket -r -F -d 'Its control socket'
complete -c pealctl -s a -l app -x -a '(__pealctl_rows name apps)' -d Application
complete -c pealctl -s j -l json -d 'Print JSON'
complete -c pealctl -s l -l limit -x -d 'So many rows'
complete -c pealctl -s m -l match -x -d 'Names that have this'
complete -c pealctl -s k -l kind -x -d 'Kinds of events' \
	-a 'published client_event occupied vacated member_added member_removed opened closed'
complete -c pealctl -s d -l data -x -d 'Octets of data shown'
complete -c pealctl -s i -l interval -x -d 'Seconds between screens'
complete -c pealctl -l channel -x -a '(__pealctl_rows channel channels)'
complete -c pealctl -l user -x -d 'Connections of a user'
complete -c pealctl -l id -x -d 'A socket id'
complete -c pealctl -l slow -d 'Those that read slowly first'
complete -c pealctl -l list -d 'Single connections'
complete -c pealctl -l once -d 'One screen'
complete -c pealctl -l now -d 'Give nobody time'
complete -c pealctl -n "__fish_seen_subcommand_from $channels" \
	-a '(__pealctl_rows channel channels)'
complete -c pealctl -n '__fish_seen_subcommand_from channels tail' \
	-a '(__pealctl_rows name apps)'
complete -c pealctl -n '__fish_seen_subcommand_from log' -a 'error warn info debug'
complete -c pealctl -n '__fish_seen_subcommand_from config' -a diff
complete -c pealctl -n '__fish_seen_subcommand_from help' -a '(__pealctl_verbs)'
