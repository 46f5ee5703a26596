package dev.waypost;

import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.waypost.v1.EmbedRequest;
import dev.waypost.v1.EmbedResponse;
import dev.waypost.v1.EmbedServiceGrpc.EmbedServiceImplBase;
import io.grpc.netty.shaded.io.grpc.netty.NettyServerBuilder;
import io.grpc.netty.shaded.io.netty.channel.epoll.EpollEventLoopGroup;
import io.grpc.netty.shaded.io.netty.channel.epoll.EpollServerDomainSocketChannel;
import io.grpc.netty.shaded.io.netty.channel.unix.DomainSocketAddress;
import io.grpc.stub.StreamObserver;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;

/** A socket of the file system is an address as well. */
@Timeout(30)
@EnabledOnOs(OS.LINUX)
class UnixTest {
    @Test
    void aUnixSocketIsAnAddress(@TempDir Path folder) throws Exception {
        var socket = folder.resolve("router.sock");
        var loop = new EpollEventLoopGroup(1);
        var server = NettyServerBuilder.forAddress(new DomainSocketAddress(socket.toFile()))
                .channelType(EpollServerDomainSocketChannel.class)
                .bossEventLoopGroup(loop)
                .workerEventLoopGroup(loop)
                .addService(new Embedding())
                .build()
                .start();
        try (var client = WaypostClient.builder("unix:" + socket).build()) {
            assertEquals(7, client.embed("hello").response().getDimensions());
        } finally {
            server.shutdownNow();
            loop.shutdownGracefully();
        }
    }

    private static final class Embedding extends EmbedServiceImplBase {
        @Override
        public void embed(EmbedRequest request, StreamObserver<EmbedResponse> caller) {
            caller.onNext(EmbedResponse.newBuilder().setDimensions(7).build());
            caller.onCompleted();
        }
    }
}
