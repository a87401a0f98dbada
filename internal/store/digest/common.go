package digest

import (
	"strings"

	"facteur/internal/mail/message"
)

// maxLines is how many bytes of header lines are kept of one letter.
const maxLines = 16 << 10

// Common tells whether the lines of a header field are kept in digests. These are
// the fields that clients ask for when they list a mailbox: alpine, Apple Mail,
// Delta Chat, FairEmail, K-9 and Thunderbird, mbsync, mutt and neomutt, offlineimap,
// Outlook, Roundcube, SnappyMail. Received is not among them: it would double the
// cache for the sake of one client that asks for twenty letters at a time.
func Common(name string) bool {
	var lower [longestName]byte
	if len(name) > len(lower) {
		return false
	}
	for i := 0; i < len(name); i++ {
		c := name[i]
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		lower[i] = c
	}
	switch string(lower[:len(name)]) {
	case "date", "from", "sender", "reply-to", "to", "cc", "bcc", "subject", "message-id", "in-reply-to", "references",
		"content-type", "content-description", "content-disposition", "content-language", "content-location", "content-md5",
		"content-transfer-encoding", "mime-version", "return-path", "delivered-to", "x-original-to", "envelope-to",
		"newsgroups", "followup-to", "path", "xref", "lines", "keywords", "comments", "organization", "user-agent", "x-mailer",
		"priority", "x-priority", "importance", "x-msmail-priority", "precedence", "auto-submitted",
		"list-id", "list-post", "list-help", "list-archive", "list-subscribe", "list-unsubscribe", "list-unsubscribe-post", "list-owner",
		"mail-followup-to", "mail-reply-to", "disposition-notification-to", "return-receipt-to", "x-confirm-reading-to",
		"resent-date", "resent-from", "resent-to", "resent-cc", "resent-message-id", "resent-sender",
		"x-label", "x-draft-info", "x-forwarded-message-id", "x-mozilla-draft-info", "x-identity-key", "x-account-key", "x-mozilla-keys",
		"x-uniform-type-identifier", "x-universally-unique-identifier", "x-mail-generated-subject", "x-mail-calendar-part",
		"x-apple-auto-saved", "x-apple-mail-remote-attachments", "bimi-indicator", "bimi-location", "x-bimi-indicator-hash",
		"authentication-results", "x-dkim-authentication-results", "dkim-signature", "received-spf",
		"x-ref", "x-msoesrec", "x-ms-has-attach", "x-ms-exchange-organization-authas", "x-mimeole",
		"x-k9mail-identity", "chat-version", "chat-message-id", "chat-disposition-notification-to", "chat-is-post-message", "autocrypt", "autocrypt-setup-message",
		"secure-join", "x-microsoft-original-message-id", "x-tuid", "x-offlineimap", "x-gm-thrid", "x-gm-msgid",
		"x-spam-status", "x-spam-flag", "x-spam-level", "x-spam-score", "x-spamd-result", "x-bogosity", "x-virus", "x-virus-scanned", "x-virus-status":
		return true
	}
	return false
}

// longestName bounds the names that Common knows, in bytes.
const longestName = 40

// common gives the lines of the common fields; nil if they are too many.
func common(head message.Header) message.Header {
	out := message.Header{}
	for f := range head.Fields() {
		if !Common(strings.TrimRight(string(f.Name), " \t")) {
			continue
		}
		if out = append(out, head[f.Start:f.End]...); len(out) > maxLines {
			return nil
		}
	}
	return out
}
