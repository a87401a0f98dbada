package dsn

func french() vocabulary {
	return vocabulary{
		tag: "fr",
		happens: map[Action]string{
			Failed:    "Il n’a pas pu être remis à :",
			Delayed:   "Il n’a pas encore pu être remis à :",
			Delivered: "Il a été remis à :",
			Relayed:   "Il a été transmis à un autre serveur, qui ne dira peut-être pas ce qu’il en advient, pour :",
			Expanded:  "Il a été envoyé aux membres de :",
		},
		said:  "Le serveur %s a répondu : %s",
		ours:  "La raison : %s",
		link:  "Pour en savoir plus : %s",
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
			"4.7":  "Il n’est pas arrivé dans le temps qui lui était donné.",
			"6.3":  "Le message contient des caractères que le serveur ne peut pas recevoir.",
			"6.7":  "Le message ou une adresse contient des caractères que le serveur ne peut pas recevoir.",
			"7.1":  "Le serveur n’accepte pas ce message.",
			"7.30": "Le message devait voyager chiffré jusqu’au bout, ce qu’un serveur sur le chemin ne promet pas.",
		},
		months: [12]string{"janvier", "février", "mars", "avril", "mai", "juin", "juillet", "août", "septembre", "octobre", "novembre", "décembre"},
		when:   "%[1]d %[2]s %[3]d à %[4]s",
	}
}
