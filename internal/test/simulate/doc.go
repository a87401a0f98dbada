// Package simulate lets the queue, the dispatcher and the writer of notices, as they
// are, live for days among odd mail hosts: in memory, under testing/synctest, in seconds.
//
// A run is made from a seed. Alice sends letters to hosts that refuse, delay, hang up,
// talk nonsense, or can't be reached for a while; a person holds, releases, deletes and
// tries again at random; the disk of the mailboxes is full for a while, so that notices
// wait; the process is killed at random, idle or amid its work, and a new one finds the
// files as they were at that moment. In the end the ledger has to balance: each recipient of
// each letter has ended in exactly one way, and no letter came twice but where an answer
// was lost.
//
//	make simulate SEEDS=1000
//
// The same seed gives the same letters, hosts, kills and deeds at the same moments. Which
// of two goroutines runs first at one moment is up to the scheduler, so a run that failed
// fails again most of the time, not always.
package simulate
