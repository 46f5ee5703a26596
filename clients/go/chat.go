package waypost

import "waypost/client/waypostv1"

// Chat is the input of a request to Generate: the messages of a conversation.
//
//	&waypostv1.GenerateRequest{Input: waypost.Chat(waypost.User("Why is the sky blue?"))}
func Chat(messages ...*waypostv1.ChatMessage) *waypostv1.GenerateRequest_Chat {
	return &waypostv1.GenerateRequest_Chat{Chat: &waypostv1.Prompt{Messages: messages}}
}

// System is what the model is told beforehand.
func System(content string) *waypostv1.ChatMessage {
	return &waypostv1.ChatMessage{Role: "system", Content: content}
}

// User is what the user says.
func User(content string) *waypostv1.ChatMessage {
	return &waypostv1.ChatMessage{Role: "user", Content: content}
}
