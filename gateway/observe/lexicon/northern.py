"""Pure. German, Polish, Russian, Turkish, Indonesian and Vietnamese.

A word stands as a stem (`*`) where its language bends its end.
"""

from gateway.observe.lexicon.lines import Lexicon, listed

__all__ = ["LANGUAGES"]

LANGUAGES: dict[str, tuple[Lexicon, Lexicon]] = {
    "de": (
        {
            "elicits": listed(
                "gedankenkette; gedankengang; gedankengänge; denkprozess; jeden schritt deiner überlegung*",
                "jeden schritt ihrer überlegung*; jeden denkschritt; vollständige begründungskette",
                "gesamten denkprozess; alle deine überlegungen; interne überlegung*; vollständige argumentation",
                "prüfe jeden schritt; überprüfe jeden schritt; ausführliche überlegung*",
            ),
            "reasons": listed(
                "schritt für schritt; schrittweise; erkläre deine überlegung*; begründe deine antwort",
                "begründen sie ihre antwort; denke sorgfältig; denk sorgfältig; denke gründlich; rechenweg",
                "zeige deinen lösungsweg; lösungsweg; erläutere deine überlegung*; begründung:",
            ),
            "generates": listed(
                "du bist der nutzer; du bist der benutzer; spiele einen nutzer; spiele den nutzer",
                "spiele die rolle des nutzers; simuliere einen nutzer; zwischen einem nutzer und einem assistenten",
                "zwischen nutzer und assistent; zwischen einem nutzer und einer ki; nächste nachricht des nutzers",
                "nächste nutzernachricht; anweisung, die diesen text; komplexere version der anweisung",
                "schreibe die anweisung um",
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
            "first": listed("antwort a; erste antwort; ersten antwort"),
            "second": listed("antwort b; zweite antwort; zweiten antwort"),
            "compare": listed("besser; vergleiche; bevorzug*; schlechter"),
            "numbered": listed("antwort 0"),
            "for training": listed(
                "zum trainieren eines; zum training eines modells; zum training eines sprachmodells",
                "für das training eines modells; um ein modell zu trainieren; um ein sprachmodell zu trainieren",
                "zum feinabstimmen",
            ),
            "to a model": listed("einem ki-assistenten; für einen ki-assistenten; einem chatbot; einem sprachmodell"),
            "how": listed(
                "wie kann ich; wie mache ich; was ist; was sind; wie erstelle ich; wie funktioniert",
                "unterschied zwischen",
            ),
        },
    ),
    "pl": (
        {
            "elicits": listed(
                "łańcuch myśl*; proces myślow*; procesu myślow*; tok rozumowania; każdy krok swojego rozumowania",
                "każdy krok rozumowania; pełne rozumowanie; całe rozumowanie; cały tok; sprawdź każdy krok",
                "szczegółowe rozumowanie; wewnętrzne rozumowanie",
            ),
            "reasons": listed(
                "krok po kroku; wyjaśnij swoje rozumowanie; uzasadnij odpowiedź; pokaż obliczenia; zastanów się",
                "pomyśl uważnie; rozumowanie:; uzasadnienie",
            ),
            "generates": listed(
                "jesteś użytkownikiem; wciel się w użytkownika; w rolę użytkownika; symuluj użytkownika",
                "między użytkownikiem a asystentem; między użytkownikiem a ai; następną wiadomość użytkownika",
                "przepisz instrukcję; instrukcję, która dałaby",
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
            "first": listed("odpowiedź a; pierwsza odpowiedź"),
            "second": listed("odpowiedź b; druga odpowiedź"),
            "compare": listed("lepsza; porównaj; lepszą"),
            "numbered": listed("odpowiedź 0"),
            "for training": listed(
                "do trenowania modelu; do treningu modelu; do wytrenowania modelu; do uczenia modelu",
            ),
            "to a model": listed("asystentowi ai; asystenta ai; modelowi językowemu"),
            "how": listed("jak mogę; co to jest; jaka jest różnica; czym jest; jak stworzyć"),
        },
    ),
    "ru": (
        {
            "elicits": listed(
                "цепочку рассуждений; цепочка рассуждений; цепочку мыслей; цепочка мыслей; ход мыслей",
                "ход своих мыслей; ход рассуждений; внутренние рассуждения; процесс мышления; процесс размышлени*",
                "каждый шаг рассуждени*; каждый шаг своих рассуждений; все рассуждения; полное рассуждение",
                "подробное рассуждение; подробные рассуждения; проверь каждый шаг; проверяй каждый шаг",
                "рассуждай подробно; рассуждай максимально подробно",
            ),
            "reasons": listed(
                "шаг за шагом; пошагово; по шагам; объясни свои рассуждения; объясни свой ответ; подумай внимательно",
                "обоснуй ответ; обоснуйте ответ; покажи решение; рассуждай; подумай хорошо; обоснование",
            ),
            "generates": listed(
                "ты пользователь; ты — пользователь; в роли пользователя; играй пользователя; сымитируй пользователя",
                "симулируй пользователя; между пользователем и ассистентом; между пользователем и ии",
                "следующее сообщение пользователя; перепиши инструкцию; более сложную версию инструкции",
                "усложни инструкцию; инструкцию, которая привела; инструкцию, на которую",
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
            "first": listed("ответ a; ответ а; первый ответ; ответа a"),
            "second": listed("ответ b; ответ б; второй ответ; ответа b"),
            "compare": listed("лучше; сравни*; предпоч*; хуже"),
            "numbered": listed("ответ 0"),
            "for training": listed(
                "для обучения модели; для обучения языковой; для дообучения; чтобы обучить модель",
                "для обучения нейросети",
            ),
            "to a model": listed("ии-ассистенту; ai-ассистенту; чат-боту; языковой модели"),
            "how": listed("как мне; что такое; в чем разница; в чём разница; как можно; как сделать; как создать"),
        },
    ),
    "tr": (
        {
            "elicits": listed(
                "düşünce zincir*; düşünme süreci*; düşünce süreci*; akıl yürütme sürec*; akıl yürütmenin her adım*",
                "muhakemenin tamam*; tüm akıl yürütme*; her adımı doğrula*; ayrıntılı akıl yürüt*; içsel akıl yürüt*",
            ),
            "reasons": listed(
                "adım adım; akıl yürütmeni açıkla; gerekçeni açıkla; cevabını gerekçelendir; dikkatlice düşün",
                "çözüm adımlar*; mantığını açıkla; gerekçe:",
            ),
            "generates": listed(
                "sen kullanıcısın; kullanıcı rolünü oyna*; kullanıcı rolünü üstlen*; kullanıcıyı canlandır*",
                "kullanıcıyı simüle*; kullanıcı ile asistan arasında*; kullanıcı ile yapay zeka arasında*",
                "kullanıcının bir sonraki mesajı*; talimatı daha karmaşık; talimatı yeniden yaz*",
                "bu metni üretecek talimat*",
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
            "make before": listed("oluştur*; üret*; yaz; yazın; hazırla*; tasarla*; yazınız"),
            "fresh": listed("çeşitli; farklı; yeni; özgün; adet; tane"),
            "item": listed("soru; sorular; problem; örnek; talimat; diyalog; görev; bilmece"),
            "data": listed(
                "eğitim verisi; eğitim verileri; sentetik veri*; soru-cevap çift*; eğitim örne*; ince ayar veri*",
            ),
            "first": listed("yanıt a; cevap a"),
            "second": listed("yanıt b; cevap b"),
            "compare": listed("daha iyi; karşılaştır*; tercih"),
            "numbered": listed("yanıt 0; cevap 0"),
            "for training": listed(
                "model eğitmek için; modeli eğitmek için; modelini eğitmek için; modelin eğitimi için",
            ),
            "to a model": listed("yapay zeka asistanına; bir sohbet botuna"),
            "how": listed("nedir; nasıl yapılır; nasıl oluşturulur"),
        },
    ),
    "id": (
        {
            "elicits": listed(
                "rantai pemikiran; proses berpikir; penalaran internal; proses penalaran; setiap langkah penalaran",
                "seluruh penalaran; penalaran lengkap; penalaran secara rinci; periksa setiap langkah",
                "verifikasi setiap langkah",
            ),
            "reasons": listed(
                "langkah demi langkah; jelaskan alasan; jelaskan penalaran; tunjukkan langkah; pikirkan baik-baik",
                "mari kita pikirkan; berikan alasan; cara pengerjaan",
            ),
            "generates": listed(
                "kamu adalah pengguna; anda adalah pengguna; berperan sebagai pengguna; berperanlah sebagai pengguna",
                "simulasikan pengguna; antara pengguna dan asisten; antara pengguna dan ai; pesan pengguna berikutnya",
                "tulis ulang instruksi; versi instruksi yang lebih kompleks; instruksi yang menghasilkan teks",
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
            "first": listed("jawaban a; respons a"),
            "second": listed("jawaban b; respons b"),
            "compare": listed("lebih baik; bandingkan"),
            "numbered": listed("jawaban 0; respons 0"),
            "for training": listed(
                "untuk melatih model; untuk pelatihan model",
            ),
            "to a model": listed("kepada asisten ai; untuk asisten ai"),
            "how": listed("bagaimana cara; apa itu; apa perbedaan"),
        },
    ),
    "vi": (
        {
            "elicits": listed(
                "chuỗi suy nghĩ; chuỗi tư duy; quá trình suy nghĩ; quá trình suy luận; suy luận nội tâm",
                "từng bước suy luận; toàn bộ suy luận; toàn bộ quá trình; suy luận chi tiết; kiểm tra từng bước",
                "mọi bước suy luận",
            ),
            "reasons": listed(
                "từng bước; giải thích lý do; giải thích lập luận; suy nghĩ cẩn thận; hãy suy nghĩ; trình bày lời giải",
                "lập luận của bạn; suy nghĩ kỹ",
            ),
            "generates": listed(
                "bạn là người dùng; đóng vai người dùng; mô phỏng người dùng; giữa người dùng và trợ lý",
                "giữa người dùng và ai; tin nhắn tiếp theo của người dùng; viết lại chỉ dẫn; chỉ thị đa dạng",
                "tạo chỉ thị",
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
            "first": listed("câu trả lời a; phản hồi a"),
            "second": listed("câu trả lời b; phản hồi b"),
            "compare": listed("tốt hơn; so sánh"),
            "numbered": listed("câu trả lời 0; phản hồi 0"),
            "for training": listed(
                "để huấn luyện mô hình; huấn luyện mô hình ngôn ngữ; để tinh chỉnh mô hình",
            ),
            "to a model": listed("cho trợ lý ai; hỏi trợ lý ai"),
            "how": listed("làm thế nào; là gì; làm sao; sự khác biệt"),
        },
    ),
}
