"""Pure. Languages that are written with Latin or Cyrillic letters. Extraction is reported in many languages: Google's
threat report of February 2026 names non-English coercion of reasoning traces.

Verbs stand as stems where the language bends them. A word that is also English is left out where English uses it often.
"""

from gateway.observe.lexicon.lines import Lexicon, listed

__all__ = ["LANGUAGES"]


LANGUAGES: dict[str, tuple[Lexicon, Lexicon]] = {
    "es": (
        {
            "elicits": listed(
                "cadena de pensamiento; proceso de pensamiento; razonamiento interno; monólogo interno",
                "cada paso de tu razonamiento; cada paso de su razonamiento; todo tu razonamiento",
                "razonamiento completo; razonamiento detallado; razona con todo detalle; traza de razonamiento",
                "todo el razonamiento; razonamiento paso a paso antes; verifica cada paso; comprueba cada paso",
                "razonamiento que lleva a; razona en detalle; razona extensamente",
            ),
            "reasons": listed(
                "paso a paso; explica tu razonamiento; muestra tu razonamiento; razona tu respuesta; pensemos",
                "piensa con cuidado; piensa detenidamente; justifica tu respuesta; muestra tu trabajo",
                "muestra el procedimiento; tu razonamiento; razonamiento:",
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
            "make": listed("genera; generar; crea; crear; escribe; redacta; inventa; diseña; propón; elabora"),
            "fresh": listed("diversas; diversos; diferentes; nuevas; nuevos; variadas; variados; distintas; lista de"),
            "item": listed("preguntas; problemas; ejercicios; ejemplos; diálogos; instrucciones; acertijos; reseñas"),
            "data": listed(
                "datos de entrenamiento; datos sintéticos; pares de pregunta y respuesta; datos de ajuste fino",
                "ejemplos de entrenamiento; pares de instrucción; pares pregunta-respuesta; conjunto de entrenamiento",
                "instrucciones diversas; instrucciones de tareas; instrucciones variadas; diversas instrucciones",
                "pares de preguntas y respuestas",
            ),
            "how": listed("cómo; qué es; qué son; cuál es la diferencia"),
        },
    ),
    "pt": (
        {
            "elicits": listed(
                "cadeia de pensamento; processo de pensamento; raciocínio interno; monólogo interior",
                "cada passo do seu raciocínio; cada etapa do seu raciocínio; todo o seu raciocínio",
                "raciocínio completo; raciocínio detalhado; todo o raciocínio; processo de raciocínio",
                "verifique cada passo; raciocine em detalhe; raciocínio que leva",
            ),
            "reasons": listed(
                "passo a passo; explique seu raciocínio; explique o seu raciocínio; mostre seu raciocínio",
                "mostre o raciocínio; pense com cuidado; vamos pensar; justifique sua resposta; raciocínio:",
                "seu raciocínio; mostre os cálculos",
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
            "how": listed(
                "como posso; como faço; como criar; o que é; o que são; qual a diferença; qual é a diferença",
            ),
        },
    ),
    "fr": (
        {
            "elicits": listed(
                "chaîne de pensée; processus de pensée; processus de réflexion; raisonnement interne",
                "monologue intérieur; chaque étape de ton raisonnement; chaque étape de votre raisonnement",
                "tout ton raisonnement; tout votre raisonnement; raisonnement complet; raisonnement détaillé",
                "l'intégralité du raisonnement; l'intégralité de votre raisonnement; vérifie chaque étape",
                "vérifiez chaque étape; raisonne en détail; raisonnez en détail; raisonnement qui mène",
            ),
            "reasons": listed(
                "étape par étape; pas à pas; explique ton raisonnement; expliquez votre raisonnement",
                "montre ton raisonnement; montrez votre raisonnement; réfléchis bien; réfléchissez",
                "justifie ta réponse; justifiez votre réponse; raisonnement :; votre raisonnement",
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
            "item": listed("questions; problèmes; exercices; exemples; dialogues; instructions; énigmes; avis"),
            "data": listed(
                "données d'entraînement; données synthétiques; paires question-réponse; paires de questions",
                "exemples d'entraînement; jeu d'entraînement; instructions variées; instructions diverses",
                "instructions de tâches; données d'instruction; jeu de données d'entraînement",
            ),
            "how": listed("comment; qu'est-ce que; quelle est la différence; c'est quoi"),
        },
    ),
    "de": (
        {
            "elicits": listed(
                "gedankenkette; gedankengang; gedankengänge; innerer monolog; inneren monolog; denkprozess",
                "jeden schritt deiner überlegung*; jeden schritt ihrer überlegung*; jeden denkschritt",
                "vollständige begründungskette; gesamten denkprozess; alle deine überlegungen; interne überlegung*",
                "vollständige argumentation; prüfe jeden schritt; überprüfe jeden schritt; ausführliche überlegung*",
            ),
            "reasons": listed(
                "schritt für schritt; schrittweise; erkläre deine überlegung*; begründe deine antwort",
                "begründen sie ihre antwort; denke sorgfältig; denk sorgfältig; denke gründlich; rechenweg",
                "zeige deinen lösungsweg; lösungsweg; erläutere deine überlegung*; begründung:",
            ),
            "prefers": listed(
                "welche der beiden antworten; welche antwort ist besser; vergleiche die beiden antworten",
                "vergleiche die antworten; vergleichen sie die antworten; beide antworten; ordne die antworten",
                "bevorzugte antwort; abgelehnte antwort; präferenzpaar*; bessere antwort",
            ),
            "grades": listed(
                "auf einer skala von; von 0 bis 0; von 0 bis 00; bewerte die; bewerte diese; bewerten sie",
                "ja oder nein; ist die antwort richtig; ist die antwort korrekt; bewertungskriterien; punktzahl",
            ),
        },
        {
            "make": listed("erzeuge; erstelle; erstellen; schreibe; schreib; generiere; erfinde; entwirf; formuliere"),
            "fresh": listed(
                "verschiedene; vielfältige; neue; unterschiedliche; abwechslungsreiche; liste von; diverse",
            ),
            "item": listed("fragen; aufgaben; probleme; übungen; beispiele; dialoge; anweisungen; rätsel; rezensionen"),
            "data": listed(
                "trainingsdaten*; trainingsbeispiel*; synthetische daten; frage-antwort-paar*; trainingsdialog*",
                "vielfältige anweisungen; aufgabenanweisung*; verschiedene anweisungen; instruktionsdaten*",
                "feinabstimmungsdaten*; trainingssatz*",
            ),
            "how": listed(
                "wie kann ich; wie mache ich; was ist; was sind; wie erstelle ich; wie funktioniert",
                "unterschied zwischen",
            ),
        },
    ),
    "it": (
        {
            "elicits": listed(
                "catena di pensiero; processo di pensiero; ragionamento interno; monologo interiore",
                "ogni passaggio del tuo ragionamento; ogni passo del tuo ragionamento; tutto il tuo ragionamento",
                "ragionamento completo; ragionamento dettagliato; tutto il ragionamento; verifica ogni passaggio",
                "ragiona in dettaglio; processo di ragionamento",
            ),
            "reasons": listed(
                "passo dopo passo; passo passo; passo per passo; spiega il tuo ragionamento; ragionamento:",
                "mostra il tuo ragionamento; mostra i passaggi; pensa attentamente; giustifica la risposta",
                "il tuo ragionamento; motiva la risposta",
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
            "make": listed("genera; generare; crea; creare; scrivi; inventa; proponi; elabora; formula"),
            "fresh": listed("diverse; diversi; nuove; nuovi; varie; vari; differenti; elenco di; lista di"),
            "item": listed("domande; problemi; esercizi; esempi; dialoghi; istruzioni; indovinelli; recensioni"),
            "data": listed(
                "dati di addestramento; dati sintetici; coppie domanda-risposta; coppie di domande e risposte",
                "esempi di addestramento; istruzioni diverse; istruzioni di compiti; istruzioni varie",
            ),
            "how": listed("come posso; come si; che cos'è; cos'è; qual è la differenza"),
        },
    ),
    "pl": (
        {
            "elicits": listed(
                "łańcuch myśl*; proces myślow*; procesu myślow*; wewnętrzny monolog; tok rozumowania",
                "każdy krok swojego rozumowania; każdy krok rozumowania; pełne rozumowanie; całe rozumowanie; cały tok",
                "sprawdź każdy krok; szczegółowe rozumowanie; wewnętrzne rozumowanie",
            ),
            "reasons": listed(
                "krok po kroku; wyjaśnij swoje rozumowanie; uzasadnij odpowiedź; pokaż obliczenia; zastanów się",
                "pomyśl uważnie; rozumowanie:; uzasadnienie",
            ),
            "prefers": listed(
                "która z dwóch odpowiedzi; która odpowiedź jest lepsza; porównaj odpowiedzi; obie odpowiedzi",
                "porównaj dwie odpowiedzi; uszereguj odpowiedzi; preferowana odpowiedź; odrzucona odpowiedź",
            ),
            "grades": listed(
                "w skali od; od 0 do 0; od 0 do 00; oceń odpowiedź; oceń tę odpowiedź; tak lub nie; tak czy nie",
                "czy odpowiedź jest poprawna; kryteria oceny",
            ),
        },
        {
            "make": listed("wygeneruj; generuj; stwórz; utwórz; napisz; wymyśl; przygotuj"),
            "fresh": listed("różnorodn*; różnych; nowych; nowe; zróżnicowan*; listę; zestaw"),
            "item": listed("pytań; pytania; zadań; zadania; przykładów; przykłady; instrukcji; dialogów; zagadek"),
            "data": listed(
                "dane treningowe; danych treningowych; dane syntetyczne; danych syntetycznych; danych uczących",
                "par pytanie-odpowiedź; pary pytanie-odpowiedź; różnorodnych instrukcji; przykładów treningowych",
            ),
            "how": listed("jak mogę; co to jest; jaka jest różnica; czym jest; jak stworzyć"),
        },
    ),
    "tr": (
        {
            "elicits": listed(
                "düşünce zincir*; düşünme süreci*; düşünce süreci*; iç monolog*; akıl yürütme sürec*",
                "akıl yürütmenin her adım*; muhakemenin tamam*; tüm akıl yürütme*; her adımı doğrula*",
                "ayrıntılı akıl yürüt*; içsel akıl yürüt*",
            ),
            "reasons": listed(
                "adım adım; akıl yürütmeni açıkla; gerekçeni açıkla; cevabını gerekçelendir; dikkatlice düşün",
                "çözüm adımlar*; mantığını açıkla; gerekçe:",
            ),
            "prefers": listed(
                "iki yanıttan hangisi; iki cevaptan hangisi; hangi yanıt daha iyi; hangi cevap daha iyi",
                "iki yanıtı karşılaştır; yanıtları karşılaştır; cevapları karşılaştır; yanıtları sırala",
                "tercih edilen yanıt; reddedilen yanıt",
            ),
            "grades": listed(
                "0 ile 0 arasında; 0'den 0'e kadar; 0 ile 00 arasında; puan ver; puanla; evet veya hayır",
                "evet ya da hayır; cevap doğru mu; yanıt doğru mu; yanıtı değerlendir; cevabı değerlendir",
            ),
        },
        {
            "make": listed("oluştur*; üret*; yaz; yazın; hazırla*; tasarla*; yazınız"),
            "fresh": listed("çeşitli; farklı; yeni; özgün; adet; tane"),
            "item": listed("soru; sorular; problem; örnek; talimat; diyalog; görev; bilmece"),
            "data": listed(
                "eğitim verisi; eğitim verileri; sentetik veri*; soru-cevap çift*; eğitim örne*; ince ayar veri*",
            ),
            "how": listed("nedir; nasıl yapılır; nasıl oluşturulur"),
        },
    ),
    "id": (
        {
            "elicits": listed(
                "rantai pemikiran; proses berpikir; penalaran internal; monolog batin; proses penalaran",
                "setiap langkah penalaran; seluruh penalaran; penalaran lengkap; penalaran secara rinci",
                "periksa setiap langkah; verifikasi setiap langkah",
            ),
            "reasons": listed(
                "langkah demi langkah; jelaskan alasan; jelaskan penalaran; tunjukkan langkah; pikirkan baik-baik",
                "mari kita pikirkan; berikan alasan; cara pengerjaan",
            ),
            "prefers": listed(
                "jawaban mana yang lebih baik; respons mana yang lebih baik; mana dari kedua jawaban; kedua respons",
                "bandingkan kedua jawaban; bandingkan dua jawaban; urutkan jawaban; jawaban yang ditolak",
                "bandingkan jawaban; jawaban yang disukai",
            ),
            "grades": listed(
                "pada skala; dari 0 sampai 0; dari 0 hingga 0; dari 0 sampai 00; ya atau tidak; nilai jawaban",
                "apakah jawaban benar; beri nilai; berikan skor; berikan nilai",
            ),
        },
        {
            "make": listed("buat; buatlah; buatkan; hasilkan; tulis; tuliskan; ciptakan; susun"),
            "fresh": listed("beragam; berbeda; baru; bervariasi; buah; berbagai"),
            "item": listed("pertanyaan; soal; contoh; instruksi; dialog; tugas; teka-teki; ulasan"),
            "data": listed(
                "data pelatihan; data sintetis; pasangan tanya jawab; pasangan pertanyaan dan jawaban",
                "instruksi yang beragam; beragam instruksi; contoh pelatihan; pasangan pertanyaan-jawaban",
            ),
            "how": listed("bagaimana cara; apa itu; apa perbedaan"),
        },
    ),
    "vi": (
        {
            "elicits": listed(
                "chuỗi suy nghĩ; chuỗi tư duy; quá trình suy nghĩ; quá trình suy luận; suy luận nội tâm",
                "độc thoại nội tâm; từng bước suy luận; toàn bộ suy luận; toàn bộ quá trình; suy luận chi tiết",
                "kiểm tra từng bước; mọi bước suy luận",
            ),
            "reasons": listed(
                "từng bước; giải thích lý do; giải thích lập luận; suy nghĩ cẩn thận; hãy suy nghĩ; trình bày lời giải",
                "lập luận của bạn; suy nghĩ kỹ",
            ),
            "prefers": listed(
                "câu trả lời nào tốt hơn; phản hồi nào tốt hơn; so sánh hai câu trả lời; so sánh các câu trả lời",
                "xếp hạng các câu trả lời; câu trả lời được ưu tiên; câu trả lời bị từ chối; cả hai câu trả lời",
            ),
            "grades": listed(
                "trên thang điểm; từ 0 đến 0; từ 0 đến 00; chấm điểm; có hoặc không; đánh giá câu trả lời",
                "câu trả lời có đúng; thang điểm",
            ),
        },
        {
            "make": listed("tạo; viết; sinh ra; soạn; hãy tạo; nghĩ ra"),
            "fresh": listed("đa dạng; khác nhau; mới; danh sách; nhiều"),
            "item": listed("câu hỏi; bài toán; ví dụ; hướng dẫn; đoạn hội thoại; bài tập; câu đố"),
            "data": listed(
                "dữ liệu huấn luyện; dữ liệu tổng hợp; cặp câu hỏi và câu trả lời; cặp hỏi đáp",
                "cặp câu hỏi-câu trả lời",
            ),
            "how": listed("làm thế nào; là gì; làm sao; sự khác biệt"),
        },
    ),
    "ru": (
        {
            "elicits": listed(
                "цепочку рассуждений; цепочка рассуждений; цепочку мыслей; цепочка мыслей; ход мыслей",
                "ход своих мыслей; ход рассуждений; внутренний монолог; внутренние рассуждения; процесс мышления",
                "процесс размышлени*; каждый шаг рассуждени*; каждый шаг своих рассуждений; все рассуждения",
                "полное рассуждение; подробное рассуждение; подробные рассуждения; проверь каждый шаг",
                "проверяй каждый шаг; рассуждай подробно; рассуждай максимально подробно",
            ),
            "reasons": listed(
                "шаг за шагом; пошагово; по шагам; объясни свои рассуждения; объясни свой ответ; подумай внимательно",
                "обоснуй ответ; обоснуйте ответ; покажи решение; рассуждай; подумай хорошо; обоснование",
            ),
            "prefers": listed(
                "какой из двух ответов; какой ответ лучше; сравни два ответа; сравни ответы; сравните ответы",
                "сравните два ответа; оба ответа; ранжируй ответы; упорядочь ответы; предпочтительный ответ",
                "отвергнутый ответ; отклонённый ответ; пары предпочтений",
            ),
            "grades": listed(
                "по шкале от; от 0 до 0; от 0 до 00; оцени ответ; оцените ответ; да или нет; поставь оценку",
                "правильный ли ответ; верен ли ответ; критерии оценки; выставь оценку",
            ),
        },
        {
            "make": listed("сгенерируй*; создай*; придумай*; напиши*; составь*; сочини*; разработай*"),
            "fresh": listed("разнообразн*; новых; новые; различн*; разных; уникальн*; список; набор"),
            "item": listed("вопрос*; задач*; пример*; инструкци*; диалог*; заданий; загад*; отзыв*; упражнени*"),
            "data": listed(
                "обучающие данные; обучающих данных; синтетические данные; данных для обучения; данные для обучения",
                "пар вопрос-ответ; пары вопрос-ответ; разнообразных инструкций; обучающих примеров; обучающие примеры",
                "синтетических данных; датасет для обучения",
            ),
            "how": listed("как мне; что такое; в чем разница; в чём разница; как можно; как сделать; как создать"),
        },
    ),
}
