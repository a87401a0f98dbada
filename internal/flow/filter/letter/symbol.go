package letter

import (
	"fmt"

	"facteur/internal/flow/filter"
)

// Symbol is one remark that this package can make.
type Symbol struct {
	// Family is the check that makes it.
	Family string
	Name   string
	Score  float64
	// Amateur: it is what honest programs of amateurs do, too.
	Amateur bool
	// Category in place of a score.
	Category filter.Category
	// About says in a few words what it is, for the table of docs/FILTER.md.
	About string
}

// amateurMost is what all that amateurs do can cost together in one family.
const amateurMost = 2.0

// The families.
const (
	familyAttachment = "attachment"
	familyHeader     = "header"
	familyIdentity   = "identity"
	familyHTML       = "html"
	familyLinks      = "links"
	familyLanguage   = "language"
)

func attachment(name string, score float64, about string) Symbol {
	return Symbol{Family: familyAttachment, Name: name, Score: score, About: about}
}

func banned(name, about string) Symbol {
	return Symbol{Family: familyAttachment, Name: name, Category: filter.Banned, About: about}
}

func ofHeader(name string, score float64, about string) Symbol {
	return Symbol{Family: familyHeader, Name: name, Score: score, Amateur: score < 1, About: about}
}

func identity(name string, score float64, about string) Symbol {
	return Symbol{Family: familyIdentity, Name: name, Score: score, About: about}
}

func ofHTML(name string, score float64, about string) Symbol {
	return Symbol{Family: familyHTML, Name: name, Score: score, Amateur: score < 0.5, About: about}
}

func ofLink(name string, score float64, about string) Symbol {
	return Symbol{Family: familyLinks, Name: name, Score: score, About: about}
}

// The remarks. Scores stand near those that SpamAssassin has for the same thing.
var (
	bannedProgram   = banned("banned_program", "a file that is a program, an installer, a shortcut or a disk image")
	bannedScript    = banned("banned_script", "a file that Windows or macOS hands to an interpreter")
	bannedTwoFaced  = banned("banned_double_extension", "a program whose name looks like a document: invoice.pdf.exe")
	bannedTurned    = banned("banned_turned_name", "a program whose name is turned, so that its end looks like another")
	bannedName      = banned("banned_name", "a name or type that the settings ban")
	bannedMacros    = banned("banned_macros", "a document with macros, where the settings ban them")
	bannedEncrypted = banned("banned_encrypted", "a file locked with a password, where the settings ban them")
	bannedUnscanned = banned("banned_unscannable", "a file that can't be looked through, where the settings ban them")

	fileProgram   = attachment("attachment_program", 3.0, "a program, where the settings do not ban it")
	fileScript    = attachment("attachment_script", 1.5, "a script as people of Unix send each other (.sh, .py)")
	fileMacros    = attachment("attachment_macros", 1.5, "a document with macros")
	fileEncrypted = attachment("attachment_encrypted", 1.0, "a file locked with a password: nobody could look into it")
	fileUnscanned = attachment("attachment_unscannable", 1.0, "a file that can't be looked through: a bomb, damaged, nested too deep")
	fileLies      = attachment("attachment_ambiguous", 1.5, "an archive in which two programs see different files")
	fileMismatch  = attachment("attachment_mismatch", 2.0, "a name that says picture or document, and another thing behind it")
	fileTurned    = attachment("attachment_turned_name", 2.0, "a name with characters that turn the direction of reading")
	filePassword  = attachment("attachment_page_password", 2.5, "a web page that asks for a password")
	fileScripted  = attachment("attachment_page_script", 1.2, "a web page with scripts")
	fileActive    = attachment("attachment_active_document", 1.5, "a document that starts or fetches something when it is opened")
	fileElsewhere = attachment("attachment_ambiguous_letter", 2.0, "a program that only appears when the letter is read in another way")

	fromMissing      = ofHeader("header_from_missing", 1.5, "no From, or nothing readable in it")
	dateMissing      = ofHeader("header_date_missing", 0.7, "no Date")
	dateBad          = ofHeader("header_date_invalid", 0.7, "a Date that can't be read")
	dateFuture       = ofHeader("header_date_future", 1.2, "a Date more than two days ahead")
	datePast         = ofHeader("header_date_past", 0.6, "a Date more than thirty days ago")
	idMissing        = ofHeader("header_message_id_missing", 0.6, "no Message-ID")
	idBad            = ofHeader("header_message_id_invalid", 0.6, "a Message-ID without @ or brackets")
	toMissing        = ofHeader("header_to_missing", 0.5, "neither To nor Cc")
	toMany           = ofHeader("header_to_many", 0.6, "more than a hundred recipients in To and Cc")
	duplicate        = ofHeader("header_duplicate", 1.0, "a field twice that may stand once")
	controls         = ofHeader("header_control_characters", 1.0, "a zero byte in the header")
	eightBit         = ofHeader("header_eight_bit", 0.4, "bytes beyond ASCII that are no UTF-8")
	badCharset       = ofHeader("header_charset_unknown", 0.7, "a charset that does not exist, or hides text (UTF-7)")
	subjectMissing   = ofHeader("header_subject_missing", 0.3, "no Subject, or an empty one")
	subjectCapitals  = ofHeader("header_subject_capitals", 0.7, "a Subject in capitals")
	subjectSpaced    = ofHeader("header_subject_spaced", 1.2, "a Subject with its letters set apart")
	subjectInvisible = ofHeader("header_subject_invisible", 1.5, "a Subject with characters that nobody sees between its letters, or of mixed scripts")
	fakeReply        = ofHeader("header_fake_reply", 0.3, "a Subject with Re: that answers to nothing")
	receivedForged   = ofHeader("header_received_forged", 0.8, "a Received line that claims to be ours, in a letter that was never here")
	badHeader        = Symbol{Family: familyHeader, Name: "bad_header", Category: filter.BadHeader, About: "a header that readers understand differently: fields twice, no author, zero bytes"}

	nameAddress    = identity("identity_name_address", 2.0, "a name of the author that is somebody else's address")
	nameOurs       = identity("identity_name_ours", 2.5, "a name of the author that is ours, with an address from outside")
	nameBrand      = identity("identity_name_brand", 1.5, "a name of the author that is a firm whose letters are often forged, with an address of another")
	nameMixed      = identity("identity_name_mixed", 1.5, "a name of the author that mixes scripts within a word")
	replyFreemail  = identity("identity_reply_freemail", 1.2, "answers go to a free mailbox elsewhere")
	replyElsewhere = identity("identity_reply_elsewhere", 0.4, "answers go to another domain than the author's")
	lookalikeOurs  = identity("identity_lookalike_ours", 3.0, "the author's domain looks like one of ours, and is not")
	lookalikeKnown = identity("identity_lookalike_known", 2.0, "the author's domain looks like one that the recipient writes to")
	cousinOurs     = identity("identity_cousin_ours", 1.5, "the author's domain has one of ours in its name")
	mixedDomain    = identity("identity_mixed_domain", 2.0, "the author's domain mixes scripts")

	hiddenText    = ofHTML("html_hidden_text", 1.2, "more text is hidden than seen")
	hiddenMuch    = ofHTML("html_hidden_much", 1.0, "the same, and it is a lot")
	imageOnly     = ofHTML("html_image_only", 0.8, "a picture and hardly a word")
	invisible     = ofHTML("html_invisible", 1.5, "characters without width between letters")
	splitWords    = ofHTML("html_split_words", 1.0, "tags within words, again and again")
	escapedText   = ofHTML("html_escaped_letters", 1.0, "plain letters written as numbers")
	forms         = ofHTML("html_form", 0.3, "a form in the letter")
	passwords     = ofHTML("html_password", 2.5, "a field for a password in the letter")
	scripts       = ofHTML("html_script", 1.0, "scripts in the letter")
	frames        = ofHTML("html_frame", 0.4, "frames or objects in the letter")
	refresh       = ofHTML("html_refresh", 1.5, "the letter leads away by itself")
	unknownTags   = ofHTML("html_unknown_tags", 0.8, "many tags that no HTML has")
	encodedText   = ofHTML("html_encoded_text", 0.3, "plain ASCII in base64")
	otherText     = ofHTML("html_other_text", 1.0, "the text for old programs has nothing to do with the one that is shown")
	ambiguousMIME = ofHTML("html_ambiguous_letter", 1.0, "a letter that two programs take for two letters")
	brokenMIME    = ofHTML("html_broken_letter", 0.3, "parts without end, unknown encodings")

	linkMismatch  = ofLink("link_mismatch", 1.0, "a text that shows another host than the link leads to")
	linkUserInfo  = ofLink("link_user_info", 2.0, "a name before @ that looks like the host")
	linkAddress   = ofLink("link_address", 1.3, "a link to a bare address")
	linkOdd       = ofLink("link_odd_address", 2.5, "an address that only browsers can read")
	linkEscaped   = ofLink("link_escaped_host", 2.0, "a host behind codes")
	linkCode      = ofLink("link_code", 1.5, "a link that runs code")
	linkMixed     = ofLink("link_mixed_script", 2.0, "a host that mixes scripts")
	linkLookalike = ofLink("link_lookalike", 2.0, "a host that looks like one of ours or like its text, and is not")
	linkShort     = ofLink("link_shortener", 0.5, "a short form that hides where it leads")
	linkRedirect  = ofLink("link_redirect", 0.7, "a search engine's redirect that hides where it leads")
	linkRecipient = ofLink("link_recipient", 1.5, "a link that takes the recipient's address along behind #, where a page of phishing finds it")
	linkMany      = ofLink("link_many_domains", 0.1, "links to more than twenty domains")

	foreign = Symbol{Family: familyLanguage, Name: "language_unusual", Score: 1.0, About: "a language that the recipient does not use"}
)

// Symbols are all remarks that the checks of this package can make.
func Symbols() []Symbol {
	return []Symbol{
		bannedProgram, bannedScript, bannedTwoFaced, bannedTurned, bannedName, bannedMacros, bannedEncrypted, bannedUnscanned,
		fileProgram, fileScript, fileMacros, fileEncrypted, fileUnscanned, fileLies, fileMismatch, fileTurned, filePassword, fileScripted, fileActive, fileElsewhere,
		fromMissing, dateMissing, dateBad, dateFuture, datePast, idMissing, idBad, toMissing, toMany, duplicate, controls, eightBit, badCharset,
		subjectMissing, subjectCapitals, subjectSpaced, subjectInvisible, fakeReply, receivedForged, badHeader,
		nameAddress, nameOurs, nameBrand, nameMixed, replyFreemail, replyElsewhere, lookalikeOurs, lookalikeKnown, cousinOurs, mixedDomain,
		hiddenText, hiddenMuch, imageOnly, invisible, splitWords, escapedText, forms, passwords, scripts, frames, refresh, unknownTags, encodedText, otherText, ambiguousMIME, brokenMIME,
		linkMismatch, linkUserInfo, linkAddress, linkOdd, linkEscaped, linkCode, linkMixed, linkLookalike, linkShort, linkRedirect, linkRecipient, linkMany,
		foreign,
	}
}

// Known are the same, as settings name them.
func Known() (out []filter.Known) {
	for _, s := range Symbols() {
		out = append(out, filter.Known{Check: s.Family, Name: s.Name})
	}
	return out
}

// notes collects the remarks of one check about one letter, each symbol once.
type notes struct {
	list  []filter.Remark
	small float64 // what amateurs have to pay for until now
}

// add makes a remark; scale lessens its score where there is an excuse.
func (n *notes) add(s Symbol, scale float64, format string, args ...any) {
	for i := range n.list {
		if n.list[i].Name == s.Name {
			return
		}
	}
	score := s.Score * scale
	if s.Amateur {
		score = min(score, max(0, amateurMost-n.small))
		n.small += score
	}
	n.list = append(n.list, filter.Remark{Check: s.Family, Name: s.Name, Score: score, Category: s.Category, Sentence: fmt.Sprintf(format, args...)})
}
