// Package brake stops an account that is somebody else's: one whose password was stolen
// sends as much as it can, and what it sends ruins the name of the house.
//
//	RCPT         Gate.Early   what is to come later anyway is told before anything is sent
//	end of DATA  Gate.Ask     counts, weighs, and says: pass, hold, or come later
//	a delivery   Gate.Failed  what came back counts, too
//	a person     Gate.Release, Forgive, Delete, SetLimits
//
// There are limits and signs. A Quota is a limit: so many recipients in an hour. What goes
// beyond one has a verdict: the account is braked, or that letter is held, or it is told to
// come later. Signs are weaker: many recipients to whom the account never wrote, in many
// domains, one text to all of them, log-ins from several networks or countries within an
// hour, recipients that do not exist, mail that comes back. Each gives points, none enough
// alone, and at Rules.Level the account is braked.
//
// What a braked account sends is accepted, as ever, and held in the queue; nothing is lost,
// and a thief sees nothing of it. Its sessions are cut, its app passwords count no more, and
// owner and postmaster are told, once. A person then releases what was held, deletes it, or
// lifts the brake alone.
//
// # What is kept
//
// Counts, and who is braked: store/brake. What was seen of an account within the last hour
// (networks, texts, new recipients) is in memory, for Watched accounts; a restart forgets
// it. What is held is the queue's: its reason begins with Reason.
//
// # Invariants
//
// A letter is counted and judged in one step, so that sessions side by side send no more than
// one. Whoever is braked stays so until a person lifts it, and after a crash, too; owner and
// postmaster are told after the brake is durable, and a crash in between tells them after
// the next start, perhaps twice. A release is durable as an intent first, and ended after a
// crash; each letter leaves its hold in one transaction of the queue, so none goes twice.
// What the store does not take is held all the same, and tried again with the next letter.
package brake
