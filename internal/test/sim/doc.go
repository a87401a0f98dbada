// Package sim is a small outside world on loopback: a name server, mail hosts
// that behave as their domains are told to, and a mail host that misbehaves to
// order. The demo sends to it and tests are run against it; it never leaves
// 127.0.0.1 unless it is given another address to listen on.
//
// World puts the pieces together for the demo: every domain of the zone has its MX
// on loopback, and all mail arrives at one Sink, which tells the domains apart by
// the recipient. The sender's side has to be told the port (25 is not ours) and to
// permit loopback addresses.
//
// Net is the same without sockets: machines, roads with latency and loss, and streams that
// end in every way, in memory, so that days pass in seconds under testing/synctest.
// Internet is a Net with a name server and mail hosts; a Machine's Dial is for
// smtpc.Config and deliver.Outbound, its DialContext for dns.Config.
package sim
