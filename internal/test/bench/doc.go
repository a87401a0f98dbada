// Package bench measures facteur beside Debian's Postfix and Dovecot, in the
// same run, on the same machine, with the same load. It says nothing about
// right or wrong: "make bench" prints tables, no test depends on them.
//
//	go test -run '^$' -bench . -benchtime 1x -timeout 30m ./internal/test/bench
//
// Two generators send the letters: Postfix's smtp-source, 10 KB over 100
// connections, for what is delivered and relayed (accept_test.go), and one of our
// own for the door (door_test.go): 1, 10 and 100 KB, over 1, 20 and 100 connections,
// one letter each (as strangers send) or kept open, in the clear and under TLS.
// Everybody is fully durable: the defaults of each. Load generator and server share
// the processors; what the generator takes of them is told apart.
//
//	accept/s   letters divided by the time until the last one got its 250
//	deliver/s  letters divided by the time until the last one is in the
//	           Maildir, or at the next hop (smtp-sink)
//	CPU ms     processor time per letter of all processes of the service,
//	           those that ended included, from the first connection until
//	           everything is delivered
//	MB         resident memory of all processes at the end of the load, shared
//	           pages counted once (Pss)
//
//	p50, p99   from the first byte of a connection (of MAIL, on a kept one) to
//	           the 250
//	load ms    processor time of our generator per letter
//	others %   share of the machine that went to programs outside this run:
//	           above 10 or so, the rates are not worth reading, CPU still is
//
// Rounds alternate between the servers and the median counts; ratios are
// facteur against Debian, in the direction where more is better.
// FACTEUR_BENCH_LETTERS, FACTEUR_BENCH_SECONDS and FACTEUR_BENCH_ROUNDS change the
// size, FACTEUR_BENCH_FULL=1 measures every combination at the door.
//
// BenchmarkRelay and BenchmarkQueue send to smtp-sink, as letters come and from a
// backlog; there drain/s is deliver/s. BenchmarkMillion starts a server with a million
// letters in its queue.
//
// BenchmarkIMAP reads, searches and changes a mailbox of FACTEUR_BENCH_MAILBOX letters
// (10,000) that both servers have as links to the same files: for each step the time of
// an operation and its processor time, which counts what the server does behind the
// answer, until it is quiet again. The client counts bytes and looks at nothing else.
//
// BenchmarkIdleConnections tells what a connection costs on which nothing happens,
// BenchmarkControl how long an ordinary client waits while each flood of package
// siege goes on, and BenchmarkServe runs the house in this process, to be profiled.
//
// Postfix is given every advantage: chroot off, no syslog daemon behind it,
// delivery by virtual(8) itself rather than through Dovecot, twice Debian's
// limit of processes so that 100 clients never wait for one.
package bench
