"""Pure. English: phrases that say a mark alone."""

from gateway.observe.lexicon.lines import Lexicon, listed

__all__ = ["PHRASES"]


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
        "your inner thought; your internal thought; your thinking process; your entire thought process",
        "your full thought process; your train of thought; your stream of consciousness; your complete thought process",
        "your mental process; your full reasoning; your complete reasoning; your entire reasoning",
        "your whole reasoning; your detailed reasoning; internal thinking; internal thought process",
        "internal deliberation; inner deliberation; long thinking process; full thinking process",
        "complete thinking process; detailed thinking process; entire thinking process; long-form reasoning",
        "step of your reasoning; steps of your reasoning; step of your thinking; step in your reasoning",
        "part of your reasoning; reason in full; reason at length; reason exhaustively; think at length",
        "reason in great detail; reason in exhaustive detail; reason in complete detail; reason in detail",
        "reason in as much detail; think in full detail; think in great detail; full chain of; thoughts in full",
        # rewards and recipes of reasoning models
        "reasoning process in the mind; thinks about the reasoning process; think about the reasoning process",
        "thinks about the thinking process; reasoning process and answer are enclosed; thought and solution",
        "cycle of analysis; justify your steps; justify each of your steps; long reasoning; long-form thinking",
        "reasoning that leads to; reasoning that led to; reasoning steps that lead to; reasoning leading to the",
        "reasoning that arrives at; rationale that leads to; reconstruct the reasoning; reconstruct the thinking",
        "reasoning that would lead; thinking that leads to; thinking that led to; thought process that led",
        "natural thinking process",
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
        "#finally rewritten instruction#; rewritten prompt; prompt rewriter; created prompt; instruction creator",
        "instruction rewriter; evolve the instruction; evolve the prompt; evolve the given; evolved instruction",
        "evolved prompt; evolved question; difficulty of the given prompt; difficulty of the given instruction",
        "difficulty of the given programming; difficulty of the programming test question",
        # Self-Instruct, Alpaca, Unnatural Instructions, and data to train on by its name
        "come up with a series of tasks; diverse instructions; novel instructions; input that corresponds to each",
        "examples for the following tasks; regarded as a classification task; data curator; instruction generator",
        "dataset generator; training data generator; synthetic data generator; generator of training",
        # OSS-Instruct, Cosmopedia
        "gain inspiration from; inspired by the following code; inspired by the given code",
        "inspired by the code snippet; self-contained coding problem; self-contained programming problem",
        "self-contained coding question; extract from a webpage; course unit suitable for",
        "inspired from this text snippet; related to this text snippet",
        # back-translation (Humpback, LongForm)
        "to which this text is the answer; to which the text is the answer; to which this is the answer",
        "could this be the answer to; could this be an answer to; instruction for this output; missing instruction",
        "question this passage answers; question that this passage answers; question that this text answers",
        "question this text answers; question that this document answers; question that the passage answers",
        # the model plays the user (UltraChat, Baize, CAMEL, Parrot), or both sides
        "play the role of a user; play the role of the user; playing the user; play the user; act as a user",
        "act as the user; act as a human user; acting as a user; acting as the user; pretend to be a user",
        "pretending to be a user; pretend to be the user; pretend you are a user; pretend you are the user",
        "simulate a user; simulate the user; simulating a user; simulating the user; simulated user",
        "simulate a human user; simulate a realistic user; role-playing as a user; role-play as a user",
        "roleplay as a user; roleplaying as a user; you are a user who; you are a user of; you are a user talking",
        "you are a user chatting; you are a human user; you are a user interacting; you are a user asking",
        "you are a curious user; you are the user,; you are the user.; you are the user and; you are the user in",
        "you are the user of; you are the user, not; you are the human user; speak as the user; write as the user",
        "respond as the user; reply as the user; ask as the user; as a human user; user's next message",
        "user's next question; user's next turn; user's next reply; next user message; next user turn",
        "next user question; next user utterance; next user query; what the user would say next",
        "what the user says next; user responses, not assistant; user message, not; from the user's side",
        "between a user and an ai; between a user and an assistant; between the user and the assistant",
        "between a human and an ai; between a human and an assistant; between a user and a chatbot",
        "between user and ai; between a person and an ai; between user and assistant; between human and assistant",
        "between human and ai; between a user and a helpful; between a user and a language; between a user and a large",
        "between two ai; between a user and the assistant; between the user and an ai; between the user and the ai",
        "between a human user; conversation between you and a person; never flip roles",
        # retrieval sets, tools
        "hard_negative; positive_document; hard negative document; hard negative passage; tool-use trajectory",
        "tool-calling trajectory; tool call trajectory; agent trajectory; function-calling dataset; tool-use data",
        "function calling dataset; function-calling data; function-calling example; assume the role of a user",
        "assume the role of the user; taking the role of a user; simulate the user's; text retrieval task",
        "text matching task; take on the role of a user",
    ),
    # Answers to one prompt are held against each other.
    "prefers": listed(
        "compare the responses; compare these responses; compare the following responses",
        "compare the following answers; compare these answers; rank the responses; rank the answers",
        "rank the completions; rank the outputs; rank these responses; rank these answers",
        "rank the following responses; rank the following answers; rank the following outputs",
        "rank the following completions; rank each response; rank all responses; rank these completions",
        "which response is; which of the responses; which of these responses; which completion; which answer is better",
        "which of the answers is; which of these answers; which reply is better; which output is better",
        "which summary is better; which translation is better; which ai assistant; two ai assistants",
        "pair of responses; pair of answers; pair of completions; both responses; preferred response; preferred answer",
        "preferred completion; preferred output; rejected response; rejected answer; rejected completion",
        "chosen response; dispreferred; preference pair; preference label; preference annotation; preference judgment",
        "preference judgement; pairwise preference; pairwise comparison of; preference dataset; chosen/rejected",
        "responses to the same prompt; responses to the same question; responses to the same instruction",
        "answers to the same prompt; answers to the same question; completions of the same prompt",
        "responses to the same user; completions for the same; responses from two; better than both; improves on both",
        "better third; critique request; revision request; the assistant's last response",
        "assistant's previous response; better response than; better answer than; improved version of the response",
        "improved version of the answer; improved version of the assistant; best solution among; best response among",
        "best answer among; improve upon the response; response that is better than; answer that is better than",
        "as a reward model; you are a reward model; predict human preference; human preference judgment",
        "human preference data; which assistant is; which assistant's; by two assistants; from two assistants",
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
