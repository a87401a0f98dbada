// Package digest is what letters say, worked out once: the answers to ENVELOPE,
// BODY and BODYSTRUCTURE as they go to an IMAP client, the lines of the header
// that clients ask for in their lists, the keys of SORT and THREAD, a preview, the
// ids of RFC 8474. Make works it out.
package digest
