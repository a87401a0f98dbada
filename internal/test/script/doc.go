// Package script runs the stories in test/script: text that explains facteur
// to its users and is executed as it stands, through the real binary. It holds
// the verbs that testscript (github.com/rogpeppe/go-internal) lacks:
//
//	serve                        start "facteur serve -c facteur.toml", wait until it greets
//	demo                         start "facteur demo" ([demo-ports]: its ports are free)
//	shutdown                     SIGTERM; it has to end with status 0
//	reload                       SIGHUP
//	talk ADDRESS FILE            a dialogue, see below
//	submit USER TO FILE          send FILE through submission: STARTTLS, log-in
//	bring FROM TO FILE REGEXP    send FILE to the SMTP port as a stranger does; the last answer has to match
//	visit CLIENT FROM TO FILE REGEXP
//	                             the same, from somewhere: CLIENT is XCLIENT's "ADDR=… NAME=… HELO=…"
//	zone FILE                    add its lines to the zone of the name server
//	receive USER FILE REGEXP     wait for a letter in INBOX that matches; write it to FILE
//	outside FILE REGEXP          wait for a letter at the outside world that matches; write it to FILE
//	drained                      wait until the queue is empty
//	logged REGEXP                wait until the server's log has it
//	publish FILE                 put the records of a zone file into the DNS
//
// exec, stdin, stdout, stderr, grep, exists, cmp and the rest are testscript's
// own; facteur is on the PATH, and $FACTEUR is where.
//
// Each story has an internet of its own (package sim): accept.example takes
// all mail, reject.example knows nobody, defer.example says "later". In every
// .toml file of a story, $SMTP, $SUBMISSION and $IMAP are free addresses on
// loopback, $DNS the name server of that internet and $OUT_PORT the port of
// its mail hosts. The password of every account is "secret", in the file
// password.
//
// In a dialogue, "C: " lines are sent and "S: " lines are expected; an S line
// is the beginning of what comes, and * stands for anything in it. "S: ..."
// skips lines up to one that matches the next S line. A dialogue over SMTP
// begins with the server.
package script
