// Package record lets what is known of a sender count for or against his letters, and
// remembers what became of them.
//
// Two checks of one family, "reputation", say what store/reputation knows: Clients, before
// a word was spoken, of the address and its network; Senders, at the end, of the domain and
// the sender that are proven. Who is small or new counts 0: he is nobody's enemy. How far a
// record leans is told by the share of bad letters, and how much it counts by how many there
// were:
//
//	lean  = (1/4 − bad/(good+bad)) × 4, between −1 and 1    one bad letter in four is neutral
//	trust = (good+bad) / (good+bad+5)
//	score = −lean × trust × what this kind of subject may count for
//
// A network counts little, by its hosts and not by their letters, and only against a letter
// when several different hosts of it were bad: nobody pays for one neighbour.
//
// The Keeper hears of each letter that was weighed, of what users say afterwards and of
// viruses, and has them remembered. What the reputation itself added to a score is taken
// off before, else a bad name would feed itself.
//
// It keeps nothing of its own; a crash loses what store/reputation loses.
package record
