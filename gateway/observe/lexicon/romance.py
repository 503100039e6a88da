"""Pure. Spanish, Portuguese, French and Italian.

A word that is also English is left out where English uses it often.
"""

from gateway.observe.lexicon.lines import Lexicon, listed

__all__ = ["LANGUAGES"]

LANGUAGES: dict[str, tuple[Lexicon, Lexicon]] = {
    "es": (
        {
            "elicits": listed(
                "cadena de pensamiento; proceso de pensamiento; razonamiento interno; cada paso de tu razonamiento",
                "cada paso de su razonamiento; todo tu razonamiento; razonamiento completo; razonamiento detallado",
                "razona con todo detalle; traza de razonamiento; todo el razonamiento; razonamiento paso a paso antes",
                "verifica cada paso; comprueba cada paso; razonamiento que lleva a; razona en detalle",
                "razona extensamente",
            ),
            "reasons": listed(
                "paso a paso; explica tu razonamiento; muestra tu razonamiento; razona tu respuesta; pensemos",
                "piensa con cuidado; piensa detenidamente; justifica tu respuesta; muestra tu trabajo",
                "muestra el procedimiento; tu razonamiento; razonamiento:",
            ),
            "generates": listed(
                "eres el usuario; actúa como usuario; actúa como un usuario; simula un usuario",
                "entre un usuario y un asistente; entre un usuario y una ia; próximo mensaje del usuario",
                "la instrucción que produciría; versión más compleja de la instrucción; reescribe la instrucción",
                "instrucción original a partir de la respuesta; tareas semilla",
            ),
            "prefers": listed(
                "cuál de las dos respuestas; qué respuesta es mejor; cuál respuesta es mejor; respuesta preferida",
                "compara las dos respuestas; compara las respuestas; ordena las respuestas; ambas respuestas",
                "respuesta rechazada; la mejor de las dos respuestas; par de preferencia*; pares de preferencia*",
            ),
            "grades": listed(
                "en una escala de; del 0 al 0; de 0 a 0; de 0 a 00; del 0 al 00; califica la; califica esta; puntúa",
                "sí o no; es correcta la respuesta; la respuesta es correcta; rúbrica; puntuación; evalúa la respuesta",
                "calificación:",
            ),
        },
        {
            "make": listed("genera ; generar; crea ; crear; escribe; redacta; inventa; diseña; propón; elabora"),
            "fresh": listed("diversas; diversos; diferentes; nuevas; nuevos; variadas; variados; distintas; lista de"),
            "item": listed("preguntas; problemas; ejercicios; ejemplos; diálogos; instrucciones; acertijos; reseñas"),
            "data": listed(
                "datos de entrenamiento; datos sintéticos; pares de pregunta y respuesta; datos de ajuste fino",
                "ejemplos de entrenamiento; pares de instrucción; pares pregunta-respuesta; conjunto de entrenamiento",
                "instrucciones diversas; instrucciones de tareas; instrucciones variadas; diversas instrucciones",
                "pares de preguntas y respuestas",
            ),
            "first": listed("respuesta a; primera respuesta"),
            "second": listed("respuesta b; segunda respuesta"),
            "compare": listed("mejor; compara; prefiere; peor"),
            "numbered": listed("respuesta 0"),
            "for training": listed(
                "para entrenar un modelo; para entrenar modelos; para entrenar a un modelo; para entrenar una ia",
                "para entrenar un asistente; para ajustar un modelo",
            ),
            "to a model": listed("a un asistente de ia; para un asistente de ia; a un chatbot"),
            "how": listed("cómo; qué es; qué son; cuál es la diferencia"),
        },
    ),
    "pt": (
        {
            "elicits": listed(
                "cadeia de pensamento; processo de pensamento; raciocínio interno; cada passo do seu raciocínio",
                "cada etapa do seu raciocínio; todo o seu raciocínio; raciocínio completo; raciocínio detalhado",
                "todo o raciocínio; processo de raciocínio; verifique cada passo; raciocine em detalhe",
                "raciocínio que leva",
            ),
            "reasons": listed(
                "passo a passo; explique seu raciocínio; explique o seu raciocínio; mostre seu raciocínio",
                "mostre o raciocínio; pense com cuidado; vamos pensar; justifique sua resposta; raciocínio:",
                "seu raciocínio; mostre os cálculos",
            ),
            "generates": listed(
                "você é o usuário; aja como usuário; aja como um usuário; simule um usuário",
                "entre um usuário e um assistente; entre um usuário e uma ia; próxima mensagem do usuário",
                "a instrução que produziria; reescreva a instrução; tarefas semente; versão mais complexa da instrução",
                "exemplos de treinamento para",
            ),
            "prefers": listed(
                "qual das duas respostas; qual resposta é melhor; compare as duas respostas; compare as respostas",
                "classifique as respostas; ambas as respostas; resposta preferida; resposta rejeitada",
                "a melhor das duas respostas; pares de preferência",
            ),
            "grades": listed(
                "em uma escala de; numa escala de; de 0 a 0; de 0 a 00; avalie a resposta; sim ou não",
                "a resposta está correta; dê uma nota; atribua uma nota; pontuação; rubrica de",
            ),
        },
        {
            "make": listed("gere; gerar; crie; criar; escreva; invente; elabore; produza; proponha"),
            "fresh": listed("diversas; diversos; diferentes; novas; novos; variadas; variados; lista de"),
            "item": listed("perguntas; questões; problemas; exercícios; exemplos; diálogos; instruções; avaliações"),
            "data": listed(
                "dados de treinamento; dados de treino; dados sintéticos; pares de pergunta e resposta",
                "pares de perguntas e respostas; exemplos de treinamento; conjunto de treinamento; instruções diversas",
                "instruções de tarefas; instruções variadas; diversas instruções",
            ),
            "first": listed("resposta a; primeira resposta"),
            "second": listed("resposta b; segunda resposta"),
            "compare": listed("melhor; compare; prefere; pior"),
            "numbered": listed("resposta 0"),
            "for training": listed(
                "para treinar um modelo; para treinar modelos; para treinar uma ia; para treinar um assistente",
            ),
            "to a model": listed("a um assistente de ia; para um assistente de ia; a um chatbot"),
            "how": listed(
                "como posso; como faço; como criar; o que é; o que são; qual a diferença; qual é a diferença",
            ),
        },
    ),
    "fr": (
        {
            "elicits": listed(
                "chaîne de pensée; processus de pensée; processus de réflexion; raisonnement interne",
                "chaque étape de ton raisonnement; chaque étape de votre raisonnement; tout ton raisonnement",
                "tout votre raisonnement; raisonnement complet; raisonnement détaillé; l'intégralité du raisonnement",
                "l'intégralité de votre raisonnement; vérifie chaque étape; vérifiez chaque étape; raisonne en détail",
                "raisonnez en détail; raisonnement qui mène",
            ),
            "reasons": listed(
                "étape par étape; pas à pas; explique ton raisonnement; expliquez votre raisonnement",
                "montre ton raisonnement; montrez votre raisonnement; réfléchis bien; réfléchissez",
                "justifie ta réponse; justifiez votre réponse; raisonnement :; votre raisonnement",
            ),
            "generates": listed(
                "tu es l'utilisateur; vous êtes l'utilisateur; joue le rôle d'un utilisateur",
                "jouez le rôle d'un utilisateur; joue le rôle de l'utilisateur; simule un utilisateur",
                "entre un utilisateur et un assistant; entre un utilisateur et une ia",
                "prochain message de l'utilisateur; l'instruction qui aurait produit; réécris l'instruction",
                "version plus complexe de l'instruction",
            ),
            "prefers": listed(
                "laquelle des deux réponses; quelle réponse est; compare les deux réponses; comparez les réponses",
                "comparez les deux réponses; compare les réponses; classe les réponses; classez les réponses",
                "les deux réponses; réponse préférée; réponse rejetée; paires de préférence",
            ),
            "grades": listed(
                "sur une échelle de; de 0 à 0; de 0 à 00; note la réponse; notez la réponse; oui ou non",
                "évalue la réponse; évaluez la réponse; la réponse est-elle correcte; grille d'évaluation",
                "attribue une note; attribuez une note",
            ),
        },
        {
            "make": listed("génère; générez; générer; crée; créez; écris; écrivez; rédige; rédigez; invente; inventez"),
            "fresh": listed(
                "diverses; divers; différents; différentes; nouveaux; nouvelles; variés; variées; liste de",
            ),
            "item": listed("problèmes; exercices; exemples; énigmes; avis"),
            "data": listed(
                "données d'entraînement; données synthétiques; paires question-réponse; paires de questions",
                "exemples d'entraînement; jeu d'entraînement; instructions variées; instructions diverses",
                "instructions de tâches; données d'instruction; jeu de données d'entraînement",
            ),
            "first": listed("réponse a; première réponse"),
            "second": listed("réponse b; deuxième réponse; seconde réponse"),
            "compare": listed("meilleure; compare; comparez; préfère"),
            "numbered": listed("réponse 0"),
            "for training": listed(
                "pour entraîner un modèle; pour entraîner des modèles; pour entraîner une ia",
                "pour entraîner un assistant; pour entraîner notre modèle",
            ),
            "to a model": listed(
                "à un assistant ia; à un assistant d'ia; pour un assistant ia; à un chatbot; pour un assistant d'ia",
            ),
            "how": listed(
                "comment faire; comment puis-je; comment fonctionne; comment créer; comment je peux; qu'est-ce que",
                "quelle est la différence; c'est quoi",
            ),
        },
    ),
    "it": (
        {
            "elicits": listed(
                "catena di pensiero; processo di pensiero; ragionamento interno; ogni passaggio del tuo ragionamento",
                "ogni passo del tuo ragionamento; tutto il tuo ragionamento; ragionamento completo",
                "ragionamento dettagliato; tutto il ragionamento; verifica ogni passaggio; ragiona in dettaglio",
                "processo di ragionamento",
            ),
            "reasons": listed(
                "passo dopo passo; passo passo; passo per passo; spiega il tuo ragionamento; ragionamento:",
                "mostra il tuo ragionamento; mostra i passaggi; pensa attentamente; giustifica la risposta",
                "il tuo ragionamento; motiva la risposta",
            ),
            "generates": listed(
                "sei l'utente; interpreta l'utente; recita il ruolo dell'utente; recita il ruolo di un utente",
                "simula un utente; tra un utente e un assistente; tra un utente e un'ia",
                "prossimo messaggio dell'utente; riscrivi l'istruzione; versione più complessa dell'istruzione",
                "l'istruzione che avrebbe prodotto",
            ),
            "prefers": listed(
                "quale delle due risposte; quale risposta è migliore; confronta le due risposte; entrambe le risposte",
                "confronta le risposte; classifica le risposte; risposta preferita; risposta rifiutata",
            ),
            "grades": listed(
                "su una scala da; da 0 a 0; da 0 a 00; valuta la risposta; sì o no; la risposta è corretta",
                "assegna un punteggio; punteggio; griglia di valutazione",
            ),
        },
        {
            "make": listed("genera ; generare; crea ; creare; scrivi; inventa; proponi; elabora; formula"),
            "fresh": listed("diverse; diversi; nuove; nuovi; varie; vari; differenti; elenco di; lista di"),
            "item": listed("domande; problemi; esercizi; esempi; dialoghi; istruzioni; indovinelli; recensioni"),
            "data": listed(
                "dati di addestramento; dati sintetici; coppie domanda-risposta; coppie di domande e risposte",
                "esempi di addestramento; istruzioni diverse; istruzioni di compiti; istruzioni varie",
            ),
            "first": listed("risposta a; prima risposta"),
            "second": listed("risposta b; seconda risposta"),
            "compare": listed("migliore; confronta; preferis*"),
            "numbered": listed("risposta 0"),
            "for training": listed(
                "per addestrare un modello; per addestrare modelli; per addestrare un'ia; per addestrare un assistente",
            ),
            "to a model": listed("a un assistente ia; per un assistente ia; a un chatbot"),
            "how": listed("come posso; come si; che cos'è; cos'è; qual è la differenza"),
        },
    ),
}
