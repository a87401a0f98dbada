// Package dnslist asks lists of others, by DNS (RFC 5782), about a stranger: whether his
// machine is known for spam or for being a good mail server, and whether the domains that
// he uses and links to are. What they say is a score beside others, and never a refusal by
// itself: lists err, end, and are sold.
//
// # When and what
//
//	connect  clients  lists of addresses, IPv4 and IPv6, block lists and allow lists
//	end      domains  of the author, the envelope, signatures, the client's own names, and
//	                  the hosts of up to 20 links
//
// All lists are asked at the same time. Nobody waits for longer than 2 seconds; what comes
// later counts nothing, and is known the next time. Never asked about are addresses that
// are not public, trusted or our own, and domains that are ours or so common that no list
// could have them.
//
// # Whether a list can be believed
//
// A list is asked only while it is known to work. Each is tested when the server starts and
// then every hour: it has the entry that every list has, and has not the one that none may
// have (RFC 5782 §5). One that lists everybody, nobody, or answers with something else than
// a list does (127.255.255.x, addresses outside of 127.0.0.0/8) is left alone until it works
// again, and so is one that stops to answer in the middle of the day. That is told once,
// when it begins and when it ends. A code that the settings do not know counts nothing.
//
// # Bounds
//
// Questions are counted by list and day; beyond the limit a list is not asked until the
// next day (UTC). One letter causes at most 64 questions. The resolver's cache answers what
// was asked before.
//
// Nothing is kept on disk; after a start all lists are tested anew. The key of a
// subscriber stands in questions to the list, and nowhere else (INV-21).
package dnslist
