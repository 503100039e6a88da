"""Pure. English: classes of words that say a mark together; `phrases` tells how."""

from gateway.observe.lexicon.lines import Lexicon, listed

__all__ = ["WORDS"]


WORDS: Lexicon = {
    # Making something new: who asks, what for, and what makes it one of many.
    "make": listed(
        "generate; create; write; produce; compose; design; invent; devise; craft; construct; come up with",
        "coming up with; brainstorm; propose; formulate; synthesize; synthesise; make up; generating; creating",
        "producing; simulate; simulating; develop; give me; give us; draft; curate; generation of; curating; augment",
        "writing; crafting; synthesizing",
    ),
    "fresh": listed(
        "diverse; new; novel; unique; different; varied; various; distinct; original; challenging; similar; creative",
        "complex; brand-new; realistic; additional; another; set of; series of; list of; variety of; multiple; several",
        "many; more; number of; collection of; batch of; dozen; hundred; twenty; ten; five; three; four; six; seven",
        "eight; fifty; thirty; two; high-quality; high quality; difficult; hard; self-contained; plausible; synthetic",
        "harder; tricky; hypothetical; fictional; typical; sample; alternative; interesting; fresh; random",
    ),
    "item": listed(
        "question; problem; puzzle; exercise; example; scenario; dialogue; dialog; review; message; paraphrase",
        "test case; conversation; riddle; sentence; queries; query; task; quiz; quizzes; utterance; prompt",
        "instruction; request; complaint; sample; variation; statement; rephrasing; case stud*; ticket; tweet; stories",
        "flashcard; snippet; trajector*",
    ),
    "task": listed("instruction; prompt; task"),
    "diverse": listed("diverse; novel; new and; brand-new; brand new; varied; wide range of; diversity"),
    "asked": listed(
        "task instruction; user prompt; user instruction; task prompt; user query; user queries; user request",
        "user question; user message",
    ),
    "data": listed(
        "training data; training set; training dataset; training example; training sample; training corpus",
        "training conversation; training dialogue; training pair; training prompt; training instance",
        "training question; training problem; training record; training row; fine-tuning data*; sft data*",
        "finetuning data*; fine-tuning example; finetuning example; fine-tuning set; fine-tuning sample",
        "instruction tuning; instruction-tuning; instruction-following data*; instruction-following example",
        "instruction data*; synthetic data; synthetic dataset; synthetic example; synthetic sample",
        "synthetic conversation; synthetic dialogue; synthetic question; synthetic instruction; sft example",
        "synthetic instance; synthetic training; synthetic utterance; synthetic query; synthetic queries",
        "question-answer pair; question answer pair; question-and-answer pair; question and answer pair",
        "question/answer pair; (question, answer) pair; qa pair; q&a pair; q/a pair; query-answer pair; q-a pair",
        "instruction-response pair; instruction-output pair; instruction-answer pair; prompt-response pair",
        "prompt-completion pair; instruction and response pair; instruction/response pair; prompt/response pair",
        "multi-hop question; multi-hop reasoning question; multi-hop query; multihop question; alpaca format",
        "multi-turn conversation; multi-turn dialogue; multi-turn dialog; hard negative; sharegpt format",
        "instruction, input, output; instruction, input and output; instruction-input-output; user-assistant",
        "human-assistant; dataset for training; dataset for fine-tuning; data for training; data for fine-tuning",
        "instruction-following dataset; instruction dataset; multi-step tool; tool-use conversation",
        "distillation data*; labeled example; labelled example; labeled data; labelled data; labeled training",
        "labelled training",
    ),
    "train": listed(
        "to train; train a; train an; train our; train my; training a; training an; training our; for training",
        "used to train; fine-tune; fine-tuning; finetune; finetuning; fine tune; fine tuning; teach a; teach an",
        "teach our; distill; distilling; pretrain; pre-train; pretraining; post-training; instruction-tune; train your",
        "train the; train on; be trained; train language; train ai",
    ),
    "model": listed(
        "language model; llm; ai model; chatbot; ai assistant; classifier; student model; smaller model; small model",
        "a model; our model; my model; your model; chat model; reasoning model; an assistant; our assistant; ai system",
        "nlu; virtual assistant; dialogue system; conversational agent; neural network; open model; base model",
        "code model; math model; embedding model; voice assistant; intent model; reward model; 0b model",
        "intent classif*; an ai; transformer; models",
    ),
    "seed": listed("seed task; seed example; seed instruction; seed question; seed prompt; seed problem; seed topic"),
    "persona": listed(
        "following persona; given persona; this persona; persona:; persona described; persona above; persona below",
        "provided persona; from the persona; with the persona; persona would; persona might; persona may",
        "persona could",
    ),
    "inspired": listed(
        "inspired by the following; inspired by this; inspired by the given; inspired by the text",
        "inspired by the code; inspired by the snippet; inspired by the document; inspired by the passage",
        "inspired by the article; inspiration from the; inspiration from this; as inspiration; for inspiration",
        "text snippet; seed document; seed code; draw on the following; drawing on the following",
        "grounded in the following; based on the code; inspired by a; inspired by the above; based on the seed",
        "based on this snippet; based on the following snippet",
    ),
    "posed": listed("problem; question; instruction; prompt; query; task; puzzle; exercise; queries; challenge"),
    "invent": listed(
        "create; generate; synthesize; synthesise; write; come up with; invent; guess; imagine; compose; propose",
        "formulate; devise; craft; design; produce",
    ),
    "guess": listed(
        "guess; infer; recover; reverse engineer; reverse-engineer; deduce; reconstruct; back-translate; backtranslate",
        "work out; figure out; reverse-engineering",
    ),
    "the asking": listed(
        "instruction; original prompt; the prompt; original question; likely prompt; probable prompt; user prompt",
        "original request; original query; prompt that; likely question",
    ),
    "yields": listed(
        "would produce; would have produced; would elicit; would have elicited; would lead to; could have produced",
        "could have led; would have led; would have generated; would yield; might have produced; could have elicited",
        "might have led; this text answers; the text answers; this passage answers; the passage answers",
        "this document answers; the document answers; this paragraph answers; this answer answers; to which this",
        "to which the text; to which the passage; to which the following; for which this; for which the following",
        "for which the text; whose answer is the; whose answer is this; is the answer to; would be the answer",
        "would be a good answer; is a good answer; would be the ideal; is the ideal response; would be an ideal",
        "is the perfect answer; is a perfect answer; is the correct response to; led to this response",
        "led to this answer; led to the response; be the response to; be the answer to; be an answer to",
    ),
    "rewrite": listed(
        "rewrite; rewriting; evolve; evolving; transform; turn; upgrade; modify; make; convert; alter; complicate",
        "increase; evolution; reformulate; rephrase",
    ),
    "harder": listed(
        "more complex; more difficult; harder; more challenging; additional constraint; more constraint",
        "increased reasoning; more reasoning; deeper and broader; one more constraint; more complicated",
        "increase the complexity; increase the difficulty; more demanding; extra constraint; one constraint",
        "increasing the difficulty; increasing the complexity; more reasoning steps; more intricate; trickier",
    ),
    "evolvable": listed(
        "prompt; instruction; programming; given question; given problem; original question; task; given math",
        "given coding; the #given",
    ),
    # MetaMath: rephrasing, self-verification, FOBAR
    "rephrase": listed(
        "rephrase the above question; rephrase the given question; rephrase the math; paraphrase the math",
        "rephrase the problem; paraphrase the problem; paraphrase the given question; rephrase the word problem",
        "rewrite the math; rewrite the word problem; into a declarative statement; value of unknown variable x",
        "value of the unknown variable; paraphrase this math; rephrase this math; rephrase the following math",
        "rephrase each question; paraphrase each question; paraphrase the following math; paraphrases of the problem",
        "rephrased question; versions of the math; reword the math; reword the problem; rephrase this problem",
    ),
    "jsonl": listed("jsonl; json lines"),
    "key instruction": listed('"instruction"; "prompt"'),
    "key output": listed('"output"; "response"; "completion"'),
    "key input": listed('"input"; jsonl; json'),
    # Others who make things: no marks of theirs without these words near.
    "how": listed(
        "how do i; how do we; how do you; how does; how can i; how can we; how to; how should; what is; what are",
        "what's; what does; difference between; tell me about; explain what; explain how; why is; why does; why do",
        "should i; can i; is it possible; best way to; how would; when should; how is; how are; what kind of",
        "is it better to; advantages of; best practice; introduction to; overview of; why would; how did; explain the",
    ),
    "market": listed("buyer persona; customer persona; brand persona; marketing; brand voice; target audience"),
    "art": listed(
        "midjourney; stable diffusion; dall-e; image prompt; writing prompt; journal prompt; art prompt",
        "journaling prompt; discussion prompt; essay prompt; reflection prompt; image generation; video prompt",
        "story prompt; text-to-image; command prompt; conversation starter; photo prompt; prompts for images",
        "image generator; dalle",
    ),
    "search": listed(
        "standalone; stand-alone; follow-up question; follow up question; chat history; retriev*; search engine",
        "search quer*; knowledge base; vector store; vector database; vector search; vectorstore; embeddings database",
    ),
    "cards": listed("flashcard; flash card; anki; faq; my students; my class; study guide; onboarding"),
    "code": listed(
        "python; pytorch; keras; tensorflow; scikit*; sklearn; a script; notebook; hugging face; huggingface; code to",
        "script that; write code",
    ),
    # Reasoning: who is to show it, and how much of it.
    "show": listed(
        "write out; write down; show; verbalise; verbalize; spell out; reveal; output; print; include; expose",
        "articulate; narrate; transcribe; record; document; describe; write; provide; give; present; lay out; dump",
        "share; detail; produce; recreate; reproduce; unfold; state; explain; let me see; put down; set down; think",
        "return; display; generate; think out; contain; contains; externalise; externalize; walk through; express",
    ),
    "reasoning": listed(
        "internal monologue; inner monologue; reasoning; thinking; thought process; thoughts; thinking process",
        "deliberation",
    ),
    "whole": listed(
        "every; all; each; full; complete; entire; exhaustive; verbatim; whole; unabridged; raw; internal; inner",
        "in full; completely; word for word; extremely detailed; very detailed; long; as detailed as possible",
        "comprehensive; extensive; thorough; step-by-step internal; unedited; private; hidden; fully; uncut",
    ),
    "no skipping": listed(
        "do not skip; don't skip; without skipping; do not omit; don't omit; without omitting; skip nothing",
        "never skip; omit nothing; leave nothing out; leave out nothing; do not summarize; do not summarise",
        "do not shorten; don't summarize; do not abbreviate; do not condense; no matter how; without summarizing",
        "avoid skipping; don't leave out; do not leave out; never summarise; never summarize; without abbreviating",
    ),
    "lengthy": listed(
        "long and detailed; long, detailed; long and careful; long and thorough; very long; extremely detailed",
        "exhaustive; extensive; long, careful; long, thorough; as long as possible; very detailed; lengthy; long",
        "detailed and complete; extremely long; in-depth; meticulous; long and rigorous; detailed, careful",
        "painstaking; exhaustively detailed; highly detailed",
    ),
    "solution": listed("reasoning; thinking; derivation; proof; chain of steps; worked solution; full solution"),
    "long solution": listed(
        "long and detailed solution; long, detailed solution; very detailed solution; extremely detailed solution",
        "long and careful solution; exhaustive solution; long solution; lengthy solution; painstaking solution",
    ),
    "check": listed("verify; check; double-check; double check; validate; verifying; checking; justify; verifies"),
    "each step": listed(
        "each step; every step; all steps; your steps; each of your steps; each reasoning step; every inference",
        "each inference; each deduction; every deduction; each intermediate; every intermediate; each calculation",
    ),
    "mull": listed(
        "reason; reasoning; think; thinking; work through; deliberate; thought; solve; ponder; solving; proof",
        "derivation; thinks; reasons; derive; problem; puzzle",
    ),
    "ponder": listed("reason; think; reasoning; work through; deliberate; ponder; mull over; reflect; thinks; reasons"),
    "before": listed(
        "before giving; before you answer; before answering; before providing; before the final answer",
        "before it gives; before you give; prior to answering; before arriving; before presenting; before stating",
        "before you state; before concluding; before writing the final; before responding; before you respond",
        "before producing; before outputting; before committing to; before reaching; prior to giving",
        "before the answer; before you commit; before your final; before you conclude; before settling on",
        "before announcing; before revealing",
    ),
    "at length": listed(
        "in detail; at length; thoroughly; exhaustively; extensively; every possibility; all possibilities; in full",
        "in great detail; in depth; every step; all steps; fully; meticulously; at great length",
        "at considerable length; long chain; long and; as long as; every angle; all your; every consideration",
        "all of your",
    ),
    "exhaustively": listed(
        "in great detail; in full detail; at length; exhaustively; in exhaustive detail; in complete detail",
        "at great length; in painstaking detail; in as much detail; in extreme detail; in excruciating detail",
        "for as long as; as long as you need; in meticulous detail; at considerable length; in minute detail",
    ),
    "wander": listed(
        "backtrack; backtracking; dead end; false start; self-correct; self-correction; second-guess; hesitation",
        "wrong turn; self-doubt; aha moment; course-correct; blind alleys; detours; including mistakes; retract",
    ),
    "denied": listed(
        "not reveal; not show; not output; not include; not expose; not share; not disclose; not mention; not display",
        "not explain; not print; not write; never reveal; never show; never output; never share; never expose",
        "never write; never disclose; never mention; never include; don't show; don't reveal; don't include",
        "don't output; don't write; don't share; don't explain; don't mention; without showing; without revealing",
        "hide; avoid revealing; omit; no need; keep your; instead of; rather than; without explaining; withhold",
        "conceal; not provide; don't provide; not give",
    ),
    "behind": listed("reasoning behind; thinking behind; rationale behind; thought process behind; thoughts behind"),
    "answer": listed("answer; response; completion; reply; replies; output; solution"),
    "boxed": listed("\\boxed*"),
    # Two answers, and what is done with them.
    "first": listed(
        "response a; answer a; completion a; output a; assistant a; summary a; translation a; reply a; response (a)",
        "output (a); answer (a); <response_a>; <answer_a>; response_a; answer_a; the first response; the first answer",
        "[[a]]; generation a; response x; answer x; model a's",
    ),
    "second": listed(
        "response b; answer b; completion b; output b; assistant b; summary b; translation b; reply b; response (b)",
        "output (b); answer (b); <response_b>; <answer_b>; response_b; answer_b; the second response",
        "the second answer; [[b]]; generation b; response y; answer y; model b's",
    ),
    "numbered": listed(
        "response 0; answer 0; completion 0; output 0; assistant 0; summary 0; reply 0; response_0; answer_0",
        "completion_0; output_0; response [0; generation 0; response #0; answer #0",
    ),
    "compare": listed(
        "better; prefer; preferred; preference; rank; ranking; compare; comparing; more helpful; best; winner; tie",
        "wins; score both; worse; superior; comparison; rate each; score each; more accurate",
    ),
    "answers": listed("responses; answers; completions; outputs; replies; candidate solutions"),
    "choose": listed(
        "compare; rank; choose; pick; select; decide; judge; evaluate; comparing; ranking; order; choosing; selecting",
        "score; rate; better; prefer; tell me which; assess",
    ),
    "two": listed(
        "two; both; three; four; several; from best to worst; candidate; pair of; preferred; 0 candidate; competing",
        "alternative",
    ),
    "chosen": listed("chosen"),
    "rejected": listed("rejected"),
    "rate": listed(
        "rate the; rate this; rate each; rate how; rate its; rate it; score the; score this; score each; score how",
        "grade; grading; evaluate; assess; judge; critique; assign a score; give a score; mark the; mark this",
    ),
    "improve": listed(
        "improve; improved; better; revised; corrected; rewrite; revise; critique; criticize; criticise; choose; pick",
        "rank; prefer",
    ),
    "assistant answer": listed(
        "assistant response; assistant's response; assistant's answer; model's response; ai's response; ai's answer",
        "assistant's reply; assistant answer; model's answer; assistant's last; model response",
    ),
    "helpfulness": listed("helpfulness; helpful"),
    "honesty": listed("honesty; honest; correctness"),
    "truthfulness": listed("truthfulness; truthful; coherence"),
    "following": listed("instruction following; instruction-following; instruction_following; verbosity"),
}
