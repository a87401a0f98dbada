// Package doctor tells what the world sees of this server, and what is to be changed: the
// records of each domain, the addresses that mail leaves from, certificates, the door, the
// disk.
//
// Each check is a function of a World and a subject (a domain, or the house) that gives
// findings; all run side by side, within one deadline. What can't be told, because a name
// server or another machine does not answer, is Unknown, and never a failure. Nothing is
// changed and no mail is sent: the door is tried by a dialogue that ends before DATA.
//
// # On the wire
//
// Questions to the name servers of the settings, DNS block lists among them; one connection
// to doctor.probe, port 25; the MTA-STS policies of the domains, by HTTPS. The daily run
// does the same.
//
// # On disk
//
// A file without a name is written and synced in the data directory, to measure that. The
// daily run keeps DATA/doctor.json: what it found the last time, and which of that the
// postmaster was told. It is written beside and renamed: a crash leaves the old one or the
// new one, and with the old one what has happened since is found anew. Without it everything
// that is wrong is told once.
package doctor
