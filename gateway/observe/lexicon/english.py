"""Pure. English: phrases that say a mark alone, and the words that say it together."""

from gateway.observe.lexicon.lines import Lexicon, listed

__all__ = ["PHRASES", "WORDS"]


PHRASES: Lexicon = {
    # The reasoning is the product: a place for it in the answer, a name for it, or "all of it".
    "elicits": listed(
        # tags: what the reasoning is later cut out by
        "<think>; </think>; <thinking>; <thought>; <thoughts>; <reasoning>; <cot>; <chain_of_thought>; <rationale>",
        "<reflection>; <inner_monologue>; <internal_monologue>; <begin_of_thought>; <|begin_of_thought|>",
        "<begin_of_solution>; <|begin_of_solution|>; <thinking_process>; <reasoning_trace>; <thought_process>",
        "think tags; thinking tags; reasoning tags; [think]",
        # names of it
        "chain of thought; chain-of-thought; chains of thought; reasoning trace; reasoning_trace; thinking trace",
        "thought trace; reasoning transcript; long cot; cot trace; chain of reasoning; internal reasoning",
        "inner reasoning; hidden reasoning; private reasoning; raw reasoning; unfiltered reasoning; reasoning verbatim",
        "thinking verbatim; verbatim reasoning; verbatim thinking; your internal monologue; your inner monologue",
        "your inner thought; your internal thought; your thinking process; your thought process",
        "your entire thought process; your full thought process; your train of thought; your stream of consciousness",
        "your complete thought process; your mental process; your reasoning process; your full reasoning",
        "your complete reasoning; your entire reasoning; your whole reasoning; your detailed reasoning",
        "internal thinking; internal thought process; internal deliberation; inner deliberation; long thinking process",
        "full thinking process; complete thinking process; detailed thinking process; entire thinking process",
        "long-form reasoning; step of your reasoning; steps of your reasoning; step of your thinking",
        "step in your reasoning; part of your reasoning; reason in full; reason at length; reason exhaustively",
        "think at length; reason in great detail; reason in exhaustive detail; reason in complete detail",
        "reason in detail; reason in as much detail; think in full detail; think in great detail; full chain of",
        "thoughts in full",
        # rewards and recipes of reasoning models
        "reasoning process in the mind; thinks about the reasoning process; think about the reasoning process",
        "thinks about the thinking process; reasoning process and answer are enclosed; thought and solution",
        "cycle of analysis; justify your steps; justify each of your steps; long reasoning; long-form thinking",
        "reasoning that leads to; reasoning that led to; reasoning steps that lead to; reasoning leading to the",
        "reasoning that arrives at; rationale that leads to; reconstruct the reasoning; reconstruct the thinking",
        "reasoning that would lead; thinking that leads to; thinking that led to; thought process that led",
    ),
    # Reasons are wanted. Teachers, evaluations and careful prompts want them too.
    "reasons": listed(
        "step by step; step-by-step; let's think; let us think; lets think; show your work; show all work",
        "show your working; show the working; show all steps; show every step; show each step; show the steps",
        "show your steps; show your reasoning; show your thinking; show your thought; explain your reasoning",
        "explain your thinking; explain your thought; explain the reasoning; explain your answer",
        "explain your solution; explain your steps; explain each step; explain every step; your reasoning",
        "think carefully; think through; think hard; think deeply; think thoroughly; think out loud; think aloud",
        "thinking out loud; think first; think before; think about it; take your time; reason through",
        "reason carefully; reason about; reason it out; reason first; reason logically; reason step; reasoning:",
        '"reasoning"; reasoning step; reasoning process; thought process; rationale; justify your answer',
        "justify your choice; justify your reasoning; justify each step; work through; work it out; work out the",
        "logical steps; thought:; thoughts:; <scratchpad>; <analysis>; show how you got; how you arrived at",
        "how you reached; walk me through; walk through; walk us through; break down the problem",
        "breaking down the problem; break the problem down; with reasoning; line of reasoning; explain why",
        "explain how you; all intermediate steps; intermediate step; one step at a time; derivation",
    ),
    # Material to train on is the product.
    "generates": listed(
        # Evol-Instruct (WizardLM, WizardCoder) and its followers
        "#given prompt#; #the given prompt#; #rewritten prompt#; #created prompt#; #rewritten instruction#",
        "#given instruction#; #created instruction#; #given question#; #rewritten question#; #new prompt#",
        "#finally rewritten instruction#; rewritten prompt; prompt rewriter; prompt creator; instruction creator",
        "instruction rewriter; evolve the instruction; evolve the prompt; evolve the given; evolved instruction",
        "evolved prompt; evolved question; difficulty of the given prompt; difficulty of the given instruction",
        "difficulty of the given programming; difficulty of the programming test question",
        # Self-Instruct, Alpaca, Unnatural Instructions
        "series of tasks; diverse task instructions; new task instructions; novel task instructions",
        "diverse instructions; novel instructions; diverse set of instructions; diverse prompts",
        "diverse set of prompts; diverse set of tasks; diverse user prompts; diverse user instructions",
        # OSS-Instruct, KodCode, Genstruct
        "gain inspiration from; draw inspiration from the following code; inspired by the following code",
        "inspiration from the code; inspired by the given code; inspired by the code snippet",
        "self-contained coding problem; self-contained programming problem; self-contained coding question",
        # back-translation (Humpback, LongForm, MoDS), and what a text answers
        "to which this text is the answer; to which the text is the answer; to which this is the answer",
        "to which this is a good answer; to which the following is the answer; could this be the answer to",
        "could this be an answer to; for which this text is; for which this would be the; for which this is the",
        "for which the following text is; instruction that would produce; instruction that would have produced",
        "instruction that would elicit; instruction that would lead; instruction that could have produced",
        "instruction that this text answers; prompt that would have produced; prompt that would elicit",
        "prompt that could have produced; prompt that led to this; guess the instruction; infer the instruction",
        "predict the instruction; recover the instruction; question that this text answers",
        "question this passage answers; question that this passage answers; question that the passage answers",
        "question that this document answers; question that the text answers; instruction for this output",
        # the model plays the user (UltraChat, Baize, CAMEL, Parrot), or both sides
        "play the role of a user; play the role of the user; playing the role of a user; playing the user",
        "playing the role of the user; act as a user; act as the user; act as a human user; pretend to be a user",
        "pretend to be the user; pretend you are a user; pretend you are the user; take the role of a user",
        "take the role of the user; simulate a user; simulate the user; simulating a user; simulating the user",
        "you are a user who; you are a user of; you are a user talking; you are a user chatting",
        "you are a user interacting; you are the user,; you are the user.; you are the user and; as a human user",
        "you are the user in; you are the user of; you are the human user; speak as the user; write as the user",
        "user's next message; user's next question; user's next turn; user's next reply; next user message",
        "next user turn; next user question; next user utterance; the next thing the user; between a user and an ai",
        "between a user and an assistant; between the user and the assistant; between a human and an ai",
        "between a human and an assistant; between a user and a chatbot; between a person and an ai",
        "between user and assistant; between human and assistant; between a user and a helpful",
        "between a user and a language; conversation between you and a person; between two ai",
        "between a user and a large; never flip roles",
        # retrieval sets, tools
        "hard_negative; positive_document; hard negative document; hard negative passage; tool-use trajectory",
        "tool-calling trajectory; tool call trajectory; agent trajectory; function-calling dataset",
        "function calling dataset; function-calling data; tool-use data",
    ),
    # Answers to one prompt are held against each other.
    "prefers": listed(
        "compare the two responses; compare the two answers; compare the two completions; compare two responses",
        "compare the two outputs; compare the following responses; compare the following answers",
        "compare the responses; compare these responses; compare these two responses; compare both responses",
        "compare these two answers; compare both answers; compare two answers; compare the candidate",
        "rank the responses; rank the answers; rank the completions; rank the outputs; rank these responses",
        "rank these answers; rank the following responses; rank the following answers; rank the candidate",
        "rank the following outputs; rank the following completions; rank each response; rank all responses",
        "which response is; which of the responses; which of these responses; which of the two responses",
        "which answer is better; which of the two answers; which of these answers; which completion is",
        "which completion; which reply is better; which output is better; which assistant; which summary is better",
        "which ai assistant; two ai assistants; two assistants; two candidate responses; two candidate answers",
        "pair of responses; pair of answers; pair of completions; better response; better of the two responses",
        "better of the two answers; both responses; preferred response; preferred answer; preferred completion",
        "rejected response; rejected answer; chosen response; dispreferred; preference pair; preference label",
        "preference annotation; preference judgment; preference judgement; pairwise preference; preference dataset",
        "human preference; chosen/rejected; chosen and rejected; chosen or rejected; responses to the same prompt",
        "responses to the same question; responses to the same instruction; answers to the same prompt",
        "answers to the same question; completions of the same prompt; responses to the same user",
        "responses to the prompt; responses to a prompt; responses from two; quality of the responses provided by two",
        "better than both; improves on both; improved response; better third; reward model; best-of-n",
        "critique request; revision request; the assistant's last response; assistant's previous response",
    ),
    # One answer is rated or checked.
    "grades": listed(
        "on a scale of; on a scale from; from 0 to 0; from 0 to 00; between 0 and 0; 0-0 scale; 0-00 scale",
        "0 to 0 scale; 0 to 00 scale; scale of 0; out of 0; out of 00; 0-point scale; 0 point scale; rubric",
        "grading criteria; scoring criteria; evaluation criteria; score:; rating:; [[rating]]; your score; final score",
        "a score of; assign a score; give a score; overall score; numeric score; is the answer correct",
        "is the response correct; is this answer correct; answer is correct; correct or incorrect; correct/incorrect",
        "right or wrong; supported by the; is supported; grounded in; yes or no; yes/no; true or false; pass or fail",
        "pass/fail; verdict; faithfulness; grade this; grade the; impartial judge; you are a judge",
        "you are an evaluator; you are a grader; strict grader; evaluate the answer; evaluate the response",
        "evaluate the quality; assess the quality; judge whether; judge the quality; rate the; rate this; rate each",
        "score the; score this; score each",
    ),
}

WORDS: Lexicon = {
    # verbs of asking for something new
    "make": listed(
        "generate; create; write; produce; compose; design; invent; devise; craft; construct; come up with",
        "coming up with; brainstorm; propose; formulate; synthesize; synthesise; make up; make; develop; provide",
        "give me; draft; suggest; generating; creating; writing; producing; build; prepare; output; author; imagine",
        "think of; need; give us; constructing; return",
    ),
    # what makes a thing one of many, or not the old one
    "fresh": listed(
        "diverse; new; novel; unique; different; varied; various; distinct; original; challenging; similar; creative",
        "complex; brand-new; realistic; additional; another; set of; series of; list of; variety of; multiple; several",
        "many; more; number of; collection of; batch of; dozen; hundred; twenty; ten; five; three; four; six; eight",
        "fifty; thirty; high-quality; two; difficult; hard; self-contained; plausible; synthetic; high quality; harder",
        "tricky",
    ),
    "item": listed(
        "question; problem; puzzle; exercise; example; scenario; dialogue; dialog; review; message; paraphrase",
        "test case; conversation; riddle; sentence; queries; query; task; quiz; utterance; prompt; instruction",
        "request; complaint; sample; challenge; variation; statement; rephrasing; test question; case stud*; ticket",
        "comment; tweet; stories; flashcard; text; intent; snippet",
    ),
    # what is asked of a model: the objects of Self-Instruct
    "task": listed("instruction; prompt; task; user query; user queries; user request; user question"),
    "diverse": listed("diverse; novel; new and; brand-new; brand new; varied; wide range of"),
    "data": listed(
        "training data; training set; training dataset; training example; training sample; training corpus",
        "training conversation; training dialogue; training pair; training prompt; training instance",
        "training question; training problem; training record; training row; fine-tuning data*; sft data*",
        "finetuning data*; fine-tuning example; finetuning example; fine-tuning set; fine-tuning sample",
        "instruction tuning; instruction-tuning; instruction-following data*; instruction-following example",
        "instruction data*; synthetic data; synthetic dataset; synthetic example; synthetic sample",
        "synthetic conversation; synthetic dialogue; synthetic question; synthetic instruction; sft example",
        "question-answer pair; question answer pair; question-and-answer pair; question and answer pair",
        "question/answer pair; (question, answer) pair; qa pair; q&a pair; q/a pair; query-answer pair",
        "instruction-response pair; instruction-output pair; instruction-answer pair; prompt-response pair",
        "prompt-completion pair; instruction and response pair; instruction/response pair; prompt/response pair",
        "multi-hop question; multi-hop reasoning question; multi-hop query; multihop question; alpaca format",
        "multi-turn conversation; multi-turn dialogue; multi-turn dialog; hard negative; sharegpt format",
        "instruction, input, output; instruction, input and output; instruction-input-output; user-assistant",
        "human-assistant; evaluation dataset for llm",
    ),
    "train": listed(
        "train; training; fine-tune; fine-tuning; finetune; finetuning; fine tune; fine tuning; teach; distill; distil",
        "pretrain; pre-train; pretraining; post-training; instruction-tune; align",
    ),
    "model": listed(
        "language model; llm; ai model; chatbot; ai assistant; classifier; student model; smaller model; small model",
        "a model; the model; our model; chat model; reasoning model; another model; new model; an assistant",
        "our assistant; ai system; virtual assistant; dialogue system; conversational agent; neural network",
        "open model; base model; code model; math model; embedding model; voice assistant",
    ),
    # somebody asks *about* it
    "how": listed(
        "how do i; how do we; how do you; how does; how can i; how can we; how to; how should; what is; what are",
        "what's; what does; difference between; tell me about; explain what; explain how; why is; why does; why do",
        "should i; can i; is it possible; best way to; how would; when should; how is; how are; what kind of",
        "is it better to; advantages of; best practice; introduction to; overview of",
    ),
    "task instruction": listed("task instruction; user prompt; user instruction; task description; task prompt"),
    "boxed": listed("\\boxed*"),
    # MetaMath: rephrasing, self-verification, FOBAR
    "rephrase": listed(
        "rephrase the above question; rephrase the given question; rephrase the math; paraphrase the math",
        "rephrase the problem; paraphrase the problem; paraphrase the given question; rephrase the word problem",
        "rewrite the math; rewrite the word problem; into a declarative statement; value of unknown variable x",
    ),
    "persona": listed("persona"),
    "market": listed("buyer persona; customer persona; brand persona; marketing; brand voice; target audience"),
    "seed": listed("seed task; seed example; seed instruction; seed question; seed prompt; seed problem; seed topic"),
    "rewrite": listed("rewrite; rewriting; evolve; transform; turn; upgrade; modify; make; convert; alter"),
    "harder": listed(
        "more complex; more difficult; harder; more challenging; additional constraint; more constraint",
        "increased reasoning; more reasoning; deeper and broader; one more constraint; more complicated",
        "increase the complexity; increase the difficulty; more demanding; extra constraint",
    ),
    "art": listed(
        "midjourney; stable diffusion; dall-e; image prompt; writing prompt; journal prompt; art prompt",
        "journaling prompt; discussion prompt; essay prompt; reflection prompt; image generation; video prompt",
        "story prompt; text-to-image; command prompt; conversation starter; photo prompt; prompts for images",
    ),
    "search": listed(
        "standalone; stand-alone; follow-up question; follow up question; chat history; retriev*; vector",
        "search engine; search quer*; knowledge base",
    ),
    "cards": listed("flashcard; flash card; anki; quiz for; lesson; homework; my students; my class; faq"),
    "jsonl": listed("jsonl; json lines"),
    "key instruction": listed('"instruction"; "prompt"'),
    "key output": listed('"output"; "response"; "completion"'),
    "key input": listed('"input"; jsonl; json'),
    # reasoning: who is to show it, and how much of it
    "show": listed(
        "write out; write down; show; verbalise; verbalize; spell out; reveal; output; print; include; expose",
        "articulate; narrate; transcribe; record; document; describe; write; provide; give; present; lay out; dump",
        "share; detail; produce; recreate; reproduce; unfold; state; explain",
    ),
    "reasoning": listed("reasoning; thinking; thought process; thoughts; thinking process; deliberation; thought"),
    "all of it": listed(
        "every; all; each; full; complete; entire; exhaustive; verbatim; whole; unabridged; raw; internal; inner",
        "in full; completely; word for word; extremely detailed; very detailed; long; as detailed as possible",
        "comprehensive; extensive; thorough",
    ),
    "lengthy": listed(
        "long and detailed; long, detailed; long and careful; long and thorough; very long; extremely detailed",
        "exhaustive; extensive; long, careful; long, thorough; as long as possible; very detailed; lengthy",
        "detailed and complete; extremely long; in-depth and long; meticulous; long and rigorous",
    ),
    "solution": listed("reasoning; solution; thinking; derivation; proof; thought; chain"),
    "check": listed("verify; check; double-check; double check; validate; verifying; checking; justify"),
    "each step": listed("each step; every step; all steps; your steps; each of your steps; each reasoning step"),
    "solve": listed("solve; reasoning; solution; proof; derivation; calculation; solving; reason; think"),
    "before": listed(
        "before giving; before you answer; before answering; before providing; before the final answer",
        "before you give; prior to answering; before arriving; before presenting; before stating; before you state",
        "before concluding; before writing the final; before responding; before you respond; before producing",
        "before outputting; before committing to; before reaching; prior to giving; before the answer",
    ),
    "at length": listed(
        "in detail; at length; thoroughly; exhaustively; extensively; every possibility; all possibilities; in full",
        "in great detail; in depth; every step; all steps; long; fully; meticulously",
    ),
    "mull": listed("reason; reasoning; think; thinking; work through; deliberate; thought; solve; ponder"),
    "behind": listed("reasoning behind; thinking behind; rationale behind; thought process behind; logic behind"),
    "answer": listed("answer; response; completion; reply; replies; output; solution"),
    "no skipping": listed(
        "do not skip; don't skip; without skipping; do not omit; don't omit; without omitting; skip nothing",
        "omit nothing; leave nothing out; leave out nothing; do not summarize; do not summarise; do not shorten",
        "don't summarize; do not abbreviate; do not condense; no matter how; without summarizing",
    ),
    # two answers
    "first": listed(
        "response a; answer a; completion a; output a; assistant a; summary a; translation a; reply a; response (a)",
        "output (a); answer (a); <response_a>; <answer_a>; response_a; answer_a; the first response; the first answer",
        "candidate a; solution a; [[a]]; assistant's first answer; generation a",
    ),
    "second": listed(
        "response b; answer b; completion b; output b; assistant b; summary b; translation b; reply b; response (b)",
        "output (b); answer (b); <response_b>; <answer_b>; response_b; answer_b; the second response",
        "the second answer; candidate b; solution b; [[b]]; generation b",
    ),
    "numbered": listed(
        "response 0; answer 0; completion 0; output 0; assistant 0; summary 0; reply 0; candidate 0; response_0",
        "answer_0; completion_0; output_0; candidate_0; response [0; text 0; generation 0; response #0; answer #0",
        "solution 0",
    ),
    "compare": listed(
        "better; prefer; preferred; preference; rank; ranking; compare; comparing; more helpful; best; winner; tie",
        "wins; score both; worse; superior; comparison; rate each; score each; more accurate",
    ),
    "chosen": listed('chosen; "chosen"'),
    "rejected": listed('rejected; "rejected"'),
    "rate": listed("rate; score; grade; evaluate; assess; judge; critique; rating"),
    "improve": listed("improved; better; revised; corrected; rewrite; revise; critique"),
    "assistant answer": listed(
        "assistant response; assistant's response; assistant's answer; model's response; ai's response",
    ),
    "helpfulness": listed("helpfulness; helpful"),
    "honesty": listed("honesty; honest; correctness"),
    "truthfulness": listed("truthfulness; truthful; coherence"),
    "following": listed("instruction following; instruction-following; instruction_following; verbosity"),
}
