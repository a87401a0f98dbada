package dsn

func french() vocabulary {
	return vocabulary{
		tag:    "fr",
		sender: "Service de courrier",
		subject: map[Action]string{
			Failed:    "Votre message n’a pas pu être remis",
			Delayed:   "Votre message est retardé",
			Delivered: "Votre message a été remis",
			Relayed:   "Votre message a été transmis",
			Expanded:  "Votre message a été envoyé aux membres d’une liste",
		},
		hello: "Ici le serveur de courrier %s.",
		about: "Il s’agit de votre message arrivé ici le %s.",
		happens: map[Action]string{
			Failed:    "Il n’a pas pu être remis à :",
			Delayed:   "Il n’a pas encore pu être remis à :",
			Delivered: "Il a été remis à :",
			Relayed:   "Il a été transmis à un autre serveur, qui ne dira peut-être pas ce qu’il en advient, pour :",
			Expanded:  "Il a été envoyé aux membres de :",
		},
		said:  "Le serveur %s a répondu : %s",
		ours:  "La raison : %s",
		until: "D’autres tentatives auront lieu jusqu’au %s.",
		reasons: map[string]string{
			"1.1":  "Cette adresse n’existe pas. Veuillez en vérifier l’orthographe.",
			"1.2":  "Ce domaine n’existe pas. Veuillez vérifier ce qui suit l’arobase.",
			"1.3":  "L’adresse n’est pas écrite comme doit l’être une adresse.",
			"1.10": "Ce domaine ne reçoit pas de courrier.",
			"2.1":  "La boîte aux lettres est fermée.",
			"2.2":  "La boîte aux lettres est pleine.",
			"2.3":  "Le message est trop volumineux pour la boîte aux lettres.",
			"3.4":  "Le message est trop volumineux pour le serveur.",
			"4.1":  "Le serveur n’a pas répondu.",
			"4.2":  "La connexion avec le serveur a été coupée.",
			"4.4":  "Il n’a pas été possible de savoir où va le courrier de ce domaine.",
			"4.6":  "Le message tournait en rond.",
			"4.7":  "Les tentatives ont duré aussi longtemps que d’usage, sans succès.",
			"6.3":  "Le message contient des caractères que le serveur ne peut pas recevoir.",
			"6.7":  "Le message ou une adresse contient des caractères que le serveur ne peut pas recevoir.",
			"7.1":  "Le serveur n’accepte pas ce message.",
		},
		ends: map[Action]string{
			Failed:  "Il n’y aura pas d’autre tentative pour ces destinataires. Une fois la cause écartée, veuillez renvoyer le message.",
			Delayed: "Ceci n’est qu’un avertissement : il n’est pas nécessaire de renvoyer le message.",
		},
		help:   "Si vous avez besoin d’aide, veuillez transmettre cet avis en entier à postmaster@%s.",
		ref:    "Le message est connu ici sous le numéro %s.",
		after:  "Suivent un rapport destiné aux programmes, puis votre message ou son en-tête.",
		months: [12]string{"janvier", "février", "mars", "avril", "mai", "juin", "juillet", "août", "septembre", "octobre", "novembre", "décembre"},
		when:   "%[1]d %[2]s %[3]d à %[4]s",
	}
}
